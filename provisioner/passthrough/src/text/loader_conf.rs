//! `loader.conf` of systemd-boot: which entry boots when nobody chooses.
//!
//! Source: `config_defaults_load_from_file` in systemd's `src/boot`: a key, blanks, a value; the last
//! `default` counts.

use std::ops::Range;

use super::lines::{ends_a_line, line_end, lines};

const KEY: &str = "default";

/// Where the value of the `default` that counts stands, and its whole line.
fn default_span(text: &str) -> Option<(Range<usize>, Range<usize>)> {
    span(text, KEY)
}

/// The same for any key.
fn span(text: &str, key: &str) -> Option<(Range<usize>, Range<usize>)> {
    let blank = [' ', '\t'];
    let found = lines(text).filter_map(|line| {
        let body = line.text.trim_start_matches(blank);
        let value = body.strip_prefix(key)?.strip_prefix(blank)?.trim_matches(blank);
        let end = line.start + line.text.trim_end_matches(blank).len();
        (!value.is_empty()).then_some((end - value.len()..end, line.start..line.end))
    });
    found.last()
}

/// The name or pattern of the entry that boots when nobody chooses.
pub fn default(text: &str) -> Option<&str> {
    default_span(text).map(|(value, _)| &text[value])
}

/// What counts over [`default`] since systemd 260, if it names an entry that is there and not bad.
pub fn preferred(text: &str) -> Option<&str> {
    span(text, "preferred").map(|(value, _)| &text[value])
}

/// Whether the menu is never shown by itself: a `timeout` of nothing.
pub fn hides_menu(text: &str) -> bool {
    let timeouts = lines(text).filter_map(|line| {
        let (key, value) = line.text.trim().split_once([' ', '\t'])?;
        (key == "timeout").then(|| value.trim())
    });
    timeouts.last().is_none_or(|value| ["0", "menu-hidden", "menu-disabled"].contains(&value))
}

/// The text with this entry as the one that boots when nobody chooses.
#[must_use]
pub fn set_default(text: &str, entry: &str) -> String {
    if let Some((value, _)) = default_span(text) {
        return [&text[..value.start], entry, &text[value.end..]].concat();
    }
    let (line, end) = (format!("{KEY} {entry}"), line_end(text));
    if ends_a_line(text) { [text, &line, end].concat() } else { [text, end, &line].concat() }
}

/// The text with what `original` had in the place of `entry`; another entry stays.
#[must_use]
pub fn unset_default(text: &str, original: &str, entry: &str) -> String {
    let Some((value, line)) = default_span(text).filter(|(value, _)| &text[value.clone()] == entry) else {
        return text.to_owned();
    };
    match default(original) {
        Some(before) => [&text[..value.start], before, &text[value.end..]].concat(),
        None if line.end == text.len() && !ends_a_line(original) => {
            let before = text[..line.start].strip_suffix('\n').unwrap_or(&text[..line.start]);
            before.strip_suffix('\r').unwrap_or(before).to_owned()
        }
        None => [&text[..line.start], &text[line.end..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn set_table() {
        for (before, after) in [
            ("timeout 3\ndefault arch*\n", "timeout 3\ndefault host.conf\n"),
            ("\tdefault  a b \r\n#default c\r\n", "\tdefault  host.conf \r\n#default c\r\n"),
            ("default a\ndefault b", "default a\ndefault host.conf"),
            ("timeout 3\r\n", "timeout 3\r\ndefault host.conf\r\n"),
            ("timeout 3", "timeout 3\ndefault host.conf"),
            ("", "default host.conf\n"),
            ("defaults x\n", "defaults x\ndefault host.conf\n"),
        ] {
            let set = set_default(before, "host.conf");
            assert_eq!(set, after);
            assert_eq!(default(&set), Some("host.conf"));
            assert_eq!(set_default(&set, "host.conf"), set);
            assert_eq!(unset_default(&set, before, "host.conf"), before);
            assert_eq!(unset_default(&set, before, "another.conf"), set);
        }
    }

    #[test]
    fn the_last_timeout_counts() {
        for (text, hidden) in [
            ("timeout 3\n", false),
            ("timeout 3\ntimeout\tmenu-hidden\n", true),
            ("timeout 0\n", true),
            ("#timeout 3\n", true),
            ("timeout menu-force\n", false),
        ] {
            assert_eq!(hides_menu(text), hidden, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_not_ours_stays(text in "((default|timeout|#default|editor)[ \t][a-c*]{1,3}(\r?\n)){0,4}(default x)?") {
            let set = set_default(&text, "host.conf");
            prop_assert_eq!(default(&set), Some("host.conf"));
            prop_assert_eq!(unset_default(&set, &text, "host.conf"), text);
        }
    }
}
