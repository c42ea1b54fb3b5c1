//! Turns the fuzzer's bytes into choices and texts. When the bytes run out, choices are the first and texts empty.

use arbitrary::Unstructured;

/// The bytes that are left.
pub struct Source<'a>(Unstructured<'a>);

impl<'a> Source<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub fn flag(&mut self) -> bool {
        self.0.arbitrary().unwrap_or_default()
    }

    /// A number from `least` to `most`.
    pub fn number(&mut self, least: u64, most: u64) -> u64 {
        self.0.int_in_range(least..=most).unwrap_or(least)
    }

    /// As [`Source::number`], for sizes.
    pub fn size(&mut self, least: usize, most: usize) -> usize {
        self.0.int_in_range(least..=most).unwrap_or(least)
    }

    pub fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        self.0.choose(choices).copied().unwrap_or_default()
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        self.0.arbitrary().unwrap_or_default()
    }

    /// One of `words`, which the rules under test are about, any text, or one with the other; once in a while very long.
    pub fn text(&mut self, words: &[&str]) -> String {
        match self.number(0, 15) {
            0..=8 => self.one_of(words).to_owned(),
            9..=12 => self.0.arbitrary().unwrap_or_default(),
            13 | 14 => self.one_of(words).to_owned() + &self.text(words),
            _ => self.one_of(words).repeat(self.size(1, 5_000)),
        }
    }

    pub fn perhaps<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    /// Up to `most` of what `make` makes.
    pub fn several<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.size(0, most)).map(|_| make(self)).collect()
    }
}
