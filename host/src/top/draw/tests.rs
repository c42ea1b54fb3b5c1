use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::commit::checkpoint::Checkpoint;
use crate::commit::record::Record;
use crate::event::{Mark, Sequence};
use crate::metrics::{Fate, Fault};
use crate::policy::CauseKind;
use crate::top::figures::tests::{figures, idle};
use crate::top::figures::{Module, Quantiles, State};

/// An app with a module of each sort.
fn shop() -> Figures {
    let totals = Module {
        inputs_per_second: Some(1_203.0),
        effects_per_second: Some(2_406.4),
        call_seconds: Some(Quantiles { p50: 1.4e-6, p99: 3.1e-6 }),
        inputs: 90_000,
        ..idle("totals")
    };
    let fault = Fault {
        time: "2026-01-31T12:03:01.5Z".to_owned(),
        lane: 1,
        sequence: Some(Sequence(42)),
        kind: CauseKind::Reject,
        message: "the amount is not a number".to_owned(),
        fate: Fate::Halt,
    };
    let alarm = Module {
        state: State::Halted,
        reason: Some("lane 1: input 42: the amount is not a number".to_owned()),
        inputs_per_second: None,
        lag: Some(12_345),
        lag_seconds: Some(7_300.0),
        dead_letters: 3,
        causes: BTreeMap::from([(CauseKind::Reject, 1), (CauseKind::Trap, 2)]),
        last_fault: Some(fault),
        ..idle("alarm")
    };
    let slow =
        Module { breaker_open: true, reason: Some("the breaker is open".to_owned()), retries: 4, ..idle("slow") };
    let mut figures = figures(vec![alarm, slow, totals]);
    figures.app.time = "2026-01-31T12:03:44.5Z".to_owned();
    figures
}

fn lanes() -> ModuleState {
    let config = "app = \"shop\"\n[modules.alarm]\nplugin = \"a.wasm\"\ninput = { stream = \"ORDERS\" }\nlanes = 2\n";
    let config = crate::config::parse(config, std::path::Path::new("pelton.toml")).unwrap();
    let record = Record::of(config.modules.first().unwrap(), "sha256:0123456789abcdef");
    let mark = |sequence| Mark { sequence: Sequence(sequence), fingerprint: None };
    let checkpoint =
        |at| Checkpoint::start("ORDERS", "", mark(at)).taken_over(crate::ownership::HostId::from_u128(1), |_| true);
    ModuleState { record, checkpoints: vec![checkpoint(40), checkpoint(41)], lag: None }
}

fn screen(keys: &[crate::top::screen::Key]) -> Screen {
    let mut figures = shop();
    let mut screen = Screen::default();
    screen.arrange(&mut figures);
    for key in keys {
        screen.press(*key, &figures.modules, 100);
    }
    screen
}

fn buffer(view: &View<'_>, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

/// A frame as text, without what is empty at the end of lines.
fn frame(view: &View<'_>, size: (u16, u16)) -> String {
    let buffer = buffer(view, size);
    let lines = (0..size.1).map(|y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>());
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn view<'a>(figures: &'a Figures, screen: &'a Screen) -> View<'a> {
    View { figures, screen, lanes: None, trouble: None, every: Some(Duration::from_secs(1)), colours: true }
}

#[test]
fn a_normal_window_has_all_columns() {
    let (shop, screen) = (shop(), screen(&[]));
    let expected =
        " shop                                                                             every 1s  12:03:44 UTC
 hosts    box (4242) up 2.0h
 commits  312/s  24 messages each  p50 2.1ms  p99 4.8ms

 MODULE  STATE           IN/S    EFF/S      LAG     AGE    DEAD   RETRY  BREAKER     P50     P99
 alarm   halted             -        0   12,345    2.0h       3       0   closed       -       -
   lane 1: input 42: the amount is not a number
 slow    running            0        0        0      0s       0       4     open       -       -
   the breaker is open
 totals  running        1,203    2,406        0      0s       0       0   closed   1.4µs   3.1µs

 Enter details  s sort  ? help  q quit
";
    let shown = frame(&view(&shop, &screen), (105, 12));
    assert_eq!(shown, expected, "{shown}");
}

#[test]
fn a_narrow_window_keeps_what_matters_most() {
    let (shop, screen) = (shop(), screen(&[]));
    let expected = " shop                                every 1s  12:03:44 UTC
 hosts    box (4242) up 2.0h
 commits  312/s  24 messages each  p50 2.1ms  p99 4.8ms

 MODULE  STATE           IN/S      LAG     AGE    DEAD
 alarm   halted             -   12,345    2.0h       3
   lane 1: input 42: the amount is not a number
 slow    running            0        0      0s       0
   the breaker is open
 totals  running        1,203        0      0s       0

 Enter details  s sort  ? help  q quit
";
    let shown = frame(&view(&shop, &screen), (60, 12));
    assert_eq!(shown, expected, "{shown}");
}

#[test]
fn details_name_the_last_failure_the_causes_and_the_lanes() {
    use crate::top::screen::Key;
    let (shop, screen, lanes) = (shop(), screen(&[Key::Open]), lanes());
    let expected = " shop                                every 1s  12:03:44 UTC
 hosts    box (4242) up 2.0h
 commits  312/s  24 messages each  p50 2.1ms  p99 4.8ms

 module        alarm
 state         halted
 reason        lane 1: input 42: the amount is not a number
 breaker       closed

 rates         - inputs/s  0 effects/s
 calls         none lately
 lag           12,345 inputs, the oldest 2.0h old
 waiting       0 inputs in the lanes
 since start   0 inputs  0 events  0 view writes

 tries         0 failed  0 tried again
 dead letters  1 reject  2 trap
 last failure  2026-01-31T12:03:01Z  reject  lane 1 input
               42: the module halts before it
               the amount is not a number

 input         ORDERS  plugin sha256:0123456789ab

  LANE      POSITION       COVERED   EPOCH
     0             0            40       1
     1             0            41       1

 Esc back  j/k scroll  ? help  q quit
";
    let view = View { lanes: Some(&lanes), ..view(&shop, &screen) };
    let shown = frame(&view, (60, 28));
    assert_eq!(shown, expected, "{shown}");
    assert_eq!(view.beginnings(Rect::new(0, 0, 60, 28)), 1, "all fits");
    assert_eq!(view.beginnings(Rect::new(0, 0, 60, 15)), 13);
}

#[test]
fn without_a_host_the_screen_says_so() {
    let mut figures = figures(vec![
        Module { hosts: 0, state: State::NotRunning, lag: Some(3), inputs_per_second: None, ..idle("totals") },
        Module { state: State::Halted, reason: Some("it broke".to_owned()), ..idle("z") },
    ]);
    figures.app.hosts.clear();
    (figures.app.commits_per_second, figures.app.messages_per_commit, figures.app.commit_seconds) = (None, None, None);
    let shown = frame(&view(&figures, &Screen::default()), (60, 10));
    for part in [
        "hosts    none answers: nobody runs the app",
        "commits  -/s\n",
        " totals  not running        -        3      0s       -\n",
        "it broke",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_the_app_waits_for_and_why_figures_are_old_is_said_on_top() {
    let (mut shop, screen) = (shop(), screen(&[]));
    shop.app.waits_for = Some("insufficient storage (10047)".to_owned());
    let view = View { trouble: Some("no answer for 3s:\nthe figures are old"), ..view(&shop, &screen) };
    let shown = frame(&view, (60, 14));
    let part = "NATS     no answer for 3s:\n          the figures are old\n waits    insufficient storage (10047)\n";
    assert!(shown.contains(part), "{shown}");
}

#[test]
fn nothing_has_a_colour_when_there_may_be_none_and_the_selection_is_seen_all_the_same() {
    use crate::top::screen::Key;
    use ratatui::style::Modifier;
    let shop = shop();
    for keys in [&[][..], &[Key::Open], &[Key::Help]] {
        let screen = screen(keys);
        let plain = buffer(&View { colours: false, ..view(&shop, &screen) }, (100, 20));
        assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{keys:?}");
        let coloured = buffer(&view(&shop, &screen), (100, 20));
        assert!(coloured.content().iter().any(|cell| cell.fg == Color::Red), "{keys:?}");
    }
    let plain = buffer(&View { colours: false, ..view(&shop, &screen(&[])) }, (100, 20));
    let reversed = |y: u16| plain[(2, y)].modifier.contains(Modifier::REVERSED);
    assert_eq!((4..9).map(reversed).collect::<Vec<_>>(), [false, true, true, false, false], "the row and its reason");
}

#[test]
fn the_selected_module_is_in_view_however_many_there_are() {
    let mut many = figures((0..200).map(|number| idle(&format!("m{number:03}"))).collect());
    for selected in [0, 1, 99, 198, 199] {
        let name = format!("m{selected:03}");
        let mut screen = Screen { selected: name.parse().ok(), ..Screen::default() };
        screen.arrange(&mut many);
        let shown = frame(&view(&many, &screen), (60, 12));
        assert!(shown.contains(&name), "{name}: {shown}");
        assert_eq!(shown.matches("running").count(), 6, "every line is used: {shown}");
    }
}

#[test]
fn a_window_of_any_size_is_drawn() {
    use crate::top::screen::Key;
    let (shop, lanes) = (shop(), lanes());
    for keys in [&[][..], &[Key::Open], &[Key::Help], &[Key::Open, Key::Last]] {
        let screen = screen(keys);
        for every in [None, Some(Duration::from_secs(1))] {
            let trouble = Some("a very long word: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nand a line");
            let view = View { lanes: Some(&lanes), trouble, every, ..view(&shop, &screen) };
            for (width, height) in (0..130).flat_map(|width| (0..24).map(move |height| (width, height))) {
                let area = Rect::new(0, 0, width, height);
                view.draw(area, &mut Buffer::empty(area));
                view.beginnings(area);
            }
        }
    }
    assert!(frame(&view(&shop, &screen(&[])), (27, 6)).contains("28 x 7 at least"));
}

#[test]
fn words_of_a_guest_give_no_orders_to_the_terminal() {
    let mut figures = shop();
    let evil = "\u{1b}[2Jgone\u{7}\u{9b}31m";
    figures.modules.first_mut().unwrap().reason = Some(evil.to_owned());
    figures.app.waits_for = Some(evil.to_owned());
    for keys in [&[][..], &[crate::top::screen::Key::Open]] {
        let shown = frame(&view(&figures, &screen(keys)), (80, 20));
        assert!(shown.contains("[2Jgone") && !shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn help_names_every_column() {
    let (shop, screen) = (shop(), screen(&[crate::top::screen::Key::Help]));
    let shown = frame(&view(&shop, &screen), (80, 24));
    for column in crate::top::column::Column::figures() {
        assert!(HELP.contains(column.title()), "{column:?}");
    }
    assert!(shown.contains("how long calls take"), "{shown}");
}
