//! What became of cases, as JUnit writes it: XML that continuous integration reads. Pure.

use std::fmt::Write;

use super::Tested;

/// The report on cases by module.
pub fn junit<'a>(suites: impl IntoIterator<Item = (&'a str, &'a [Tested])>) -> String {
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pelton test\">\n".to_owned();
    for (module, tested) in suites {
        // Writing to a text cannot fail.
        suite(&mut xml, module, tested).ok();
    }
    xml + "</testsuites>\n"
}

fn suite(xml: &mut String, module: &str, tested: &[Tested]) -> std::fmt::Result {
    let (count, failed) = (tested.len(), tested.iter().filter(|case| !case.passed).count());
    let seconds: f64 = tested.iter().map(|case| case.seconds).sum();
    let module = escaped(module);
    writeln!(xml, r#"  <testsuite name="{module}" tests="{count}" failures="{failed}" time="{seconds:.6}">"#)?;
    for case in tested {
        let (name, file) = (escaped(&case.name), escaped(&case.file.display().to_string()));
        let (line, seconds) = (case.line, case.seconds);
        let of_file = escaped(&case.file.file_stem().unwrap_or_default().to_string_lossy());
        write!(xml, r#"    <testcase name="{name}" classname="{module}.{of_file}" file="{file}" line="{line}" "#)?;
        write!(xml, r#"time="{seconds:.6}""#)?;
        match case.failure() {
            Some((step, failed)) => {
                let said = format!("{}{}", failed.diff.as_deref().unwrap_or_default(), failed.logged());
                writeln!(
                    xml,
                    ">\n      <failure message=\"step {step} was answered otherwise\">{}</failure>",
                    escaped(&said)
                )?;
                writeln!(xml, "    </testcase>")?;
            }
            None => writeln!(xml, "/>")?,
        }
    }
    writeln!(xml, "  </testsuite>")
}

/// Text as it may stand in XML 1.0, in an attribute too.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use pelton_cases::Answer;

    use super::*;
    use crate::cases::Answered;

    #[test]
    fn a_failure_is_told_with_its_diff_and_nothing_in_it_is_markup() {
        let steps = vec![Answered {
            answer: Answer::Reject("<x>".into()),
            diff: Some("- emit a/b\n+ reject: <x> & \u{1b}\"\n".into()),
            log: vec!["a line".into()],
        }];
        let failed = Tested {
            file: "cases/a.json".into(),
            line: 7,
            name: "<a>".into(),
            passed: false,
            seconds: 0.5,
            expected: 1,
            steps,
        };
        let passed = Tested {
            name: "b".into(),
            passed: true,
            steps: vec![],
            file: "a.json".into(),
            line: 1,
            seconds: 0.0,
            expected: 0,
        };
        assert_eq!(
            junit([("m", &[failed, passed][..])]),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="pelton test">
  <testsuite name="m" tests="2" failures="1" time="0.500000">
    <testcase name="&lt;a&gt;" classname="m.a" file="cases/a.json" line="7" time="0.500000">
      <failure message="step 1 was answered otherwise">- emit a/b
+ reject: &lt;x&gt; &amp; �&quot;
log a line
</failure>
    </testcase>
    <testcase name="b" classname="m.a" file="a.json" line="1" time="0.000000"/>
  </testsuite>
</testsuites>
"#
        );
    }
}
