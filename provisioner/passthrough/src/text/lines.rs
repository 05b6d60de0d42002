//! Lines of a text with their places, so that an editor can change one and leave the others alone.

/// One line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The offset of its first byte.
    pub(super) start: usize,
    /// The content, without `\n` or `\r\n`.
    pub(super) text: &'a str,
    /// The offset behind its line end.
    pub(super) end: usize,
}

/// The lines of a text; the last one may lack its end.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').enumerate().map(move |(index, whole)| {
        let line = Line { number: index + 1, start, text: without_end(whole), end: start + whole.len() };
        start = line.end;
        line
    })
}

fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The line end that the text itself uses: that of its first line.
pub(super) fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether the next byte appended would begin a line.
pub(super) fn ends_a_line(text: &str) -> bool {
    text.is_empty() || text.ends_with('\n')
}

/// Lines that belong to one logical line because each but the last ends in a backslash.
///
/// Gives the number of the first line and the joined content.
pub(super) fn joined(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut rest = lines(text);
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let mut whole = first.text.to_owned();
        while whole.ends_with('\\') {
            whole.pop();
            match rest.next() {
                Some(line) => whole.push_str(line.text),
                None => break,
            }
        }
        Some((first.number, whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_where_they_stand() {
        let text = "a\r\n\nb";
        let seen: Vec<_> = lines(text).map(|line| (line.number, line.start, line.text, line.end)).collect();
        assert_eq!(seen, [(1, 0, "a", 3), (2, 3, "", 4), (3, 4, "b", 5)]);
        assert_eq!((line_end(text), line_end("a\nb\r\n"), line_end("")), ("\r\n", "\n", "\n"));
    }

    #[test]
    fn a_backslash_joins() {
        let seen: Vec<_> = joined("a\\\nb\\\r\nc\nd\\").collect();
        assert_eq!(seen, [(1, "abc".to_owned()), (4, "d".to_owned())]);
    }
}
