//! Lines that fit the terminal.

use console::{Term, measure_text_width};

/// Wider than this, a line is hard to read even where it fits.
const WIDEST: usize = 100;
/// Narrower than this, wrapping only makes it worse.
const NARROWEST: usize = 40;

/// How wide a line may be; nothing where the output is no terminal, since then another program
/// reads it, line by line.
pub(crate) fn width() -> Option<usize> {
    width_of(&Term::stdout())
}

fn width_of(out: &Term) -> Option<usize> {
    let columns = usize::from(out.size_checked()?.1);
    out.is_term().then(|| columns.clamp(NARROWEST, WIDEST))
}

/// `text` behind `first`, broken between words; further lines begin with `rest`. Words, and so
/// paths and addresses, stay whole.
pub(crate) fn wrapped(text: &str, first: &str, rest: &str) -> String {
    wrap_for(&Term::stdout(), text, first, rest)
}

/// The same for standard error.
pub(crate) fn wrapped_for_stderr(text: &str, first: &str, rest: &str) -> String {
    wrap_for(&Term::stderr(), text, first, rest)
}

fn wrap_for(out: &Term, text: &str, first: &str, rest: &str) -> String {
    match width_of(out) {
        Some(width) => wrap_to(text, first, rest, width),
        None => format!("{first}{text}"),
    }
}

fn wrap_to(text: &str, first: &str, rest: &str, width: usize) -> String {
    let mut out = String::from(first);
    let mut column = measure_text_width(first);
    let mut at_start = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = measure_text_width(word);
        if !at_start && column + 1 + length > width {
            out.push('\n');
            out.push_str(rest);
            column = measure_text_width(rest);
            at_start = true;
        }
        if !at_start {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        at_start = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_stay_short() {
        let text = "/etc/default/grub holds nothing that a person of this size would want to break";
        let wrapped = wrap_to(text, "  stop ", "       ", 30);
        assert!(wrapped.lines().all(|line| line.len() <= 30), "{wrapped}");
        assert_eq!(wrapped.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), text);
        assert!(wrapped.lines().skip(1).all(|line| line.starts_with("       ")), "{wrapped}");
    }

    #[test]
    fn a_long_path_is_not_broken_and_colours_have_no_width() {
        let path = "/usr/lib/modules/6.12.1-arch1-1/modules.builtin";
        assert_eq!(wrap_to(path, "- ", "  ", 20), format!("- {path}"));
        assert_eq!(wrap_to("a b", "\u{1b}[1mxx\u{1b}[0m ", "", 6), "\u{1b}[1mxx\u{1b}[0m a b");
    }
}
