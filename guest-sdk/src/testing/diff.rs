//! Two texts line by line: what only the first has, what only the second has, what both have.

/// All lines, in order: `- ` before those that only `expected` has, `+ ` before those that only `got` has.
pub fn lines(mut expected: &[String], mut got: &[String]) -> String {
    let mut text = String::new();
    loop {
        let (mark, line) = match (expected, got) {
            ([], []) => return text,
            ([line, rest @ ..], [same, more @ ..]) if line == same => {
                (expected, got) = (rest, more);
                (' ', line)
            }
            ([line, rest @ ..], []) => {
                expected = rest;
                ('-', line)
            }
            ([line, rest @ ..], [_, more @ ..]) if common(rest, got) >= common(expected, more) => {
                expected = rest;
                ('-', line)
            }
            (_, [line, more @ ..]) => {
                got = more;
                ('+', line)
            }
        };
        text.extend([mark, ' ']);
        text.extend([line, "\n"]);
    }
}

/// How many lines the longest common subsequence of two texts has.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        let mut left = 0;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let above = *cell;
            *cell = if x == y { diagonal + 1 } else { above.max(left) };
            diagonal = above;
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_stand_once_and_the_others_are_marked() {
        for (expected, got, diff) in [
            ("", "", ""),
            ("a b", "a b", "  a,  b"),
            ("a b c", "a x c", "  a,- b,+ x,  c"),
            ("a b", "b", "- a,  b"),
            ("b", "a b c", "+ a,  b,+ c"),
            ("a b c d", "b d", "- a,  b,- c,  d"),
        ] {
            let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
            let marked = lines(&words(expected), &words(got));
            let marked: Vec<&str> = marked.lines().collect();
            assert_eq!(marked.join(","), diff, "{expected} against {got}");
        }
    }
}
