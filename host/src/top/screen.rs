//! What an operator looks at, and how keys change it. Pure.

use super::column::Column;
use super::figures::{Figures, Module};
use crate::subject::Name;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are called what they do")]
pub enum Key {
    Up,
    Down,
    First,
    Last,
    Sort,
    Open,
    Back,
    Help,
    Quit,
}

/// What the screen shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Shows {
    /// All modules.
    #[default]
    List,
    /// One module, from this line of its details on.
    Details(Name, usize),
}

/// What an operator looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Screen {
    /// What it shows.
    pub shows: Shows,
    /// Whether the help lies over it.
    pub helps: bool,
    /// What modules are sorted by.
    pub sorted_by: Column,
    /// The module that keys are about; it stays the same however modules are sorted.
    pub selected: Option<Name>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { shows: Shows::List, helps: false, sorted_by: Column::State, selected: None }
    }
}

/// Whether there is more to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// There is.
    On,
    /// The operator has seen enough.
    Home,
}

impl Screen {
    /// Brings new figures into the order of the screen, and selects a module if none is.
    pub fn arrange(&mut self, figures: &mut Figures) {
        self.sorted_by.sort(&mut figures.modules);
        let is_there = |name: &Name| figures.modules.iter().any(|module| module.module == *name);
        if !self.selected.as_ref().is_some_and(is_there) {
            self.selected = figures.modules.first().map(|module| module.module.clone());
        }
    }

    /// Does what a key says. `lines` is how many lines of details there are to scroll through.
    pub fn press(&mut self, key: Key, modules: &[Module], lines: usize) -> Goes {
        if key == Key::Quit {
            return Goes::Home;
        }
        if self.helps {
            self.helps = !matches!(key, Key::Back | Key::Help | Key::Open);
            return Goes::On;
        }
        if key == Key::Help {
            self.helps = true;
            return Goes::On;
        }
        match &mut self.shows {
            Shows::List => self.press_in_list(key, modules),
            Shows::Details(_, from) => {
                let last = lines.saturating_sub(1);
                match key {
                    Key::Up => *from = from.saturating_sub(1),
                    Key::Down => *from = (*from + 1).min(last),
                    Key::First => *from = 0,
                    Key::Last => *from = last,
                    Key::Back => self.shows = Shows::List,
                    Key::Sort | Key::Open | Key::Help | Key::Quit => {}
                }
                Goes::On
            }
        }
    }

    fn press_in_list(&mut self, key: Key, modules: &[Module]) -> Goes {
        let at = modules.iter().position(|module| Some(&module.module) == self.selected.as_ref()).unwrap_or(0);
        let last = modules.len().saturating_sub(1);
        let to = match key {
            Key::Up => at.saturating_sub(1),
            Key::Down => (at + 1).min(last),
            Key::First => 0,
            Key::Last => last,
            Key::Sort => {
                self.sorted_by = self.sorted_by.next();
                at
            }
            Key::Open => {
                self.shows = self.selected.clone().map_or(Shows::List, |module| Shows::Details(module, 0));
                at
            }
            Key::Back | Key::Quit => return Goes::Home,
            Key::Help => at,
        };
        self.selected = modules.get(to).map(|module| module.module.clone());
        Goes::On
    }

    /// The module whose details are shown.
    pub fn detailed(&self) -> Option<&Name> {
        match &self.shows {
            Shows::List => None,
            Shows::Details(module, _) => Some(module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{figures, idle};
    use super::*;

    /// Presses the keys on a screen with the modules a, b and c; gives what is then shown, and how it goes on.
    fn pressed(keys: &[Key]) -> (Screen, Goes) {
        let mut figures = figures(vec![idle("a"), idle("b"), idle("c")]);
        let mut screen = Screen::default();
        let mut goes = Goes::On;
        for key in keys {
            screen.arrange(&mut figures);
            goes = screen.press(*key, &figures.modules, 4);
        }
        screen.arrange(&mut figures);
        (screen, goes)
    }

    /// Shows where a screen is: `b`, `b details 2`, `b help`.
    fn place(screen: &Screen) -> String {
        let selected = screen.selected.as_ref().map_or("none", Name::as_str);
        let shows = match &screen.shows {
            Shows::List => String::new(),
            Shows::Details(module, from) => format!(" {module} from {from}"),
        };
        format!("{selected}{shows}{}", if screen.helps { " help" } else { "" })
    }

    #[test]
    fn keys_lead_where_they_should() {
        use Key::*;
        let cases: [(&[Key], &str); 17] = [
            (&[], "a"),
            (&[Up], "a"),
            (&[Down], "b"),
            (&[Down, Down, Down], "c"),
            (&[Last], "c"),
            (&[Last, First], "a"),
            (&[Down, Open], "b b from 0"),
            (&[Down, Open, Open, Sort], "b b from 0"),
            (&[Open, Down, Down], "a a from 2"),
            (&[Open, Last], "a a from 3"),
            (&[Open, Last, Down], "a a from 3"),
            (&[Open, Last, First, Up], "a a from 0"),
            (&[Down, Open, Back], "b"),
            (&[Help], "a help"),
            (&[Help, Down, Sort], "a help"),
            (&[Help, Back], "a"),
            (&[Down, Open, Help, Help], "b b from 0"),
        ];
        for (keys, expected) in cases {
            let (screen, goes) = pressed(keys);
            assert_eq!((place(&screen).as_str(), goes), (expected, Goes::On), "{keys:?}");
        }
    }

    #[test]
    fn back_leads_out_only_from_the_list_and_quit_from_everywhere() {
        use Key::*;
        for (keys, goes) in [
            (&[Back][..], Goes::Home),
            (&[Open, Back], Goes::On),
            (&[Open, Back, Back], Goes::Home),
            (&[Help, Back], Goes::On),
            (&[Help, Quit], Goes::Home),
            (&[Open, Quit], Goes::Home),
            (&[Quit], Goes::Home),
        ] {
            assert_eq!(pressed(keys).1, goes, "{keys:?}");
        }
    }

    #[test]
    fn the_selection_stays_with_its_module_and_moves_when_that_is_gone() {
        let mut screen = Screen { selected: "b".parse().ok(), sorted_by: Column::DeadLetters, ..Screen::default() };
        let mut with = figures(vec![idle("a"), Module { dead_letters: 2, ..idle("b") }]);
        screen.arrange(&mut with);
        assert_eq!(with.modules.first().unwrap().module.as_str(), "b");
        assert_eq!(place(&screen), "b");
        let mut without = figures(vec![idle("a"), idle("c")]);
        screen.arrange(&mut without);
        assert_eq!(place(&screen), "a");
        let mut none = figures(Vec::new());
        screen.arrange(&mut none);
        assert_eq!(place(&screen), "none");
        assert_eq!(screen.press(Key::Open, &none.modules, 0), Goes::On);
        assert_eq!(place(&screen), "none", "there is nothing to open");
    }
}
