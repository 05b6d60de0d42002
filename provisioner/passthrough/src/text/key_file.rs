//! Files of sections and keys, as `NetworkManager` and systemd write them.

/// One line `key = value`, with the section that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The section's name; empty above the first.
    pub section: &'a str,
    /// The key.
    pub key: &'a str,
    /// The value, as it stands there.
    pub value: &'a str,
}

/// The entries of a text, in its order. Lines that are none are passed over, as their readers do.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut section = "";
    text.lines().map(str::trim).filter_map(move |line| {
        if line.starts_with(['#', ';']) {
            return None;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some(Entry { section, key: key.trim_end(), value: value.trim_start() })
    })
}

/// The last value of a key.
pub fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    entries(text).filter(|one| one.section == section && one.key == key).last().map(|one| one.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_know_their_section() {
        let text = "above=1\n# [no]\n[Match]\n Name = en*\n; x=1\nnothing\n[Address]\n";
        let read: Vec<_> = entries(text).map(|one| (one.section, one.key, one.value)).collect();
        assert_eq!(read, [("", "above", "1"), ("Match", "Name", "en*")]);
        assert_eq!(value("[a]\nx=1\nx = 2\n[b]\nx=3\n", "a", "x"), Some("2"));
        assert_eq!((value(text, "Match", "nothing"), value(text, "no", "Name")), (None, None));
    }
}
