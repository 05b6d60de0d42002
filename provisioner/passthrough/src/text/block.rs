//! A marked block at the end of a text: what we add where nothing can be edited in place.

use std::ops::Range;

use super::lines::{ends_a_line, line_end, lines};

const BEGIN: &str = "# >>> neuron-provisioner";
const END: &str = "# <<< neuron-provisioner";
/// Said in the first mark when the text had no final newline, so that taking the block out gives
/// the original bytes back.
const UNENDED: &str = " (the line above had no end)";

/// Where a block stands in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Bytes from the first mark to behind the last one.
    pub(super) whole: Range<usize>,
    /// Bytes between the marks.
    pub(super) body: Range<usize>,
    /// Whether the line before it got its end from us.
    unended: bool,
}

/// The first complete block; a mark without its partner is somebody's comment.
pub(super) fn find(text: &str) -> Option<Block> {
    let mut begin = None;
    for line in lines(text) {
        if line.text.starts_with(BEGIN) {
            begin = Some(line);
        } else if line.text.starts_with(END)
            && let Some(begin) = begin
        {
            let unended = begin.text.ends_with(UNENDED);
            return Some(Block { whole: begin.start..line.end, body: begin.end..line.start, unended });
        }
    }
    None
}

/// What stands between the marks, if there is a block.
pub fn body(text: &str) -> Option<&str> {
    find(text).map(|block| &text[block.body])
}

/// The text with `body` in a marked block at its end; a block that is there already gets the new
/// body where it stands. Line ends are those of the text.
pub fn append_block(text: &str, body: &str) -> String {
    let end = line_end(text);
    if let Some(block) = find(text) {
        let body: String = body.lines().flat_map(|line| [line, end]).collect();
        return [&text[..block.body.start], &body, &text[block.body.end..]].concat();
    }
    insert_block(text, text.len(), body)
}

/// The text with `body` in a marked block that begins at this byte, the beginning of a line or the
/// end of the text. The text must have no block yet.
pub fn insert_block(text: &str, at: usize, body: &str) -> String {
    let (before, behind) = text.split_at(at);
    let end = line_end(text);
    let body: String = body.lines().flat_map(|line| [line, end]).collect();
    let (gap, note) = if ends_a_line(before) { ("", "") } else { (end, UNENDED) };
    [before, gap, BEGIN, note, end, &body, END, end, behind].concat()
}

/// The text without the block; the same text if it has none.
pub fn remove_block(text: &str) -> String {
    let Some(block) = find(text) else { return text.to_owned() };
    let mut before = &text[..block.whole.start];
    if block.unended {
        before = before.strip_suffix('\n').unwrap_or(before);
        before = before.strip_suffix('\r').unwrap_or(before);
    }
    [before, &text[block.whole.end..]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_replaces_itself() {
        let once = append_block("a=1", "b=2");
        assert_eq!(
            once,
            "a=1\n# >>> neuron-provisioner (the line above had no end)\nb=2\n# <<< neuron-provisioner\n"
        );
        assert_eq!(append_block(&once, "b=2"), once);
        assert_eq!(body(&append_block(&once, "c=3\nd=4")), Some("c=3\nd=4\n"));
    }

    #[test]
    fn a_lonely_mark_is_no_block() {
        let text = "# >>> neuron-provisioner\na=1\n";
        assert_eq!(remove_block(text), text);
        assert_eq!(body(text), None);
    }

    #[test]
    fn what_others_wrote_behind_it_stays() {
        let text = append_block("a=1\n", "b=2") + "c=3\n";
        assert_eq!(remove_block(&text), "a=1\nc=3\n");
    }

    #[test]
    fn a_block_goes_between_lines() {
        let text = insert_block("a=1\nc=3", 4, "b=2");
        assert_eq!(text, "a=1\n# >>> neuron-provisioner\nb=2\n# <<< neuron-provisioner\nc=3");
        assert_eq!(remove_block(&text), "a=1\nc=3");
    }

    proptest! {
        #[test]
        fn in_and_out_again_gives_the_bytes_back(text in "([a-z =#]{0,6}(\r?\n)){0,4}[a-z]{0,4}", body in "[a-z =]{0,9}") {
            let with = append_block(&text, &body);
            prop_assert!(with.starts_with(&text));
            prop_assert_ne!(&with, &text);
            prop_assert_eq!(append_block(&with, &body), with.clone());
            prop_assert_eq!(remove_block(&with), text);
        }
    }
}
