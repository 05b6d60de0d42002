use proptest::prelude::*;

use super::*;

const CALAMARES: &str = "## This is just an example config file.\n\ntitle   Arch\nlinux   /arch/vmlinuz-linux\n\
                         initrd  /arch/initramfs-linux.img\noptions quiet root=UUID=1 rw\n";

fn ours() -> Vec<String> {
    vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
}

#[test]
fn an_entry_is_read() {
    let text = "# options no\ntitle\tArch Linux\r\nlinux /a\ninitrd /ucode\ninitrd  /b\noptions\ta b\noptions \"c d\"\n\
                machine-id 1\nsort-key arch\n  version 6 \nempty\n";
    let entry = Entry::parse(text);
    assert_eq!((entry.title(), entry.linux(), entry.efi()), (Some("Arch Linux"), Some("/a"), None));
    assert_eq!(entry.initrds(), ["/ucode", "/b"]);
    assert_eq!((entry.machine_id(), entry.sort_key()), (Some("1"), Some("arch")));
    assert_eq!((entry.value("version"), entry.value("empty")), (Some("6"), Some("")));
    assert_eq!(entry.options(), "a b c d");
}

#[test]
fn set_table() {
    for (before, after) in [
        (CALAMARES.to_owned(), CALAMARES.replace(" rw\n", " rw intel_iommu=on iommu=pt\n")),
        (
            "linux /a\r\noptions\tquiet\r\n".into(),
            "linux /a\r\noptions\tquiet intel_iommu=on iommu=pt\r\n".into(),
        ),
        ("linux /a\noptions quiet".into(), "linux /a\noptions quiet intel_iommu=on iommu=pt".into()),
        ("linux /a\noptions \"a b\"\n".into(), "linux /a\noptions \"a b intel_iommu=on iommu=pt\"\n".into()),
        ("linux /a".into(), "linux /a\noptions intel_iommu=on iommu=pt".into()),
        ("linux /a\r\n".into(), "linux /a\r\noptions intel_iommu=on iommu=pt\r\n".into()),
        ("options\nefi /a\n".into(), "options\nefi /a\noptions intel_iommu=on iommu=pt\n".into()),
        (
            "options iommu=off x\nlinux /a\noptions y \n".into(),
            "options iommu=pt x\nlinux /a\noptions y intel_iommu=on \n".into(),
        ),
    ] {
        let set = set_parameters(&before, &ours()).unwrap();
        assert_eq!(set, after);
        assert_eq!(set_parameters(&set, &ours()).unwrap(), set);
        if !before.contains("iommu") {
            assert_eq!(remove_parameters(&set, &ours()), before);
        }
    }
}

#[test]
fn what_boots_nothing_is_refused() {
    assert!(set_parameters("title x\n", &ours()).unwrap_err().to_string().starts_with("`linux` is missing"));
    assert!(set_parameters(CALAMARES, &["a b".to_owned()]).is_err());
}

/// systemd-boot's reading, written down apart from the parser above: cut at blanks, join.
fn as_booted(text: &str) -> String {
    let mut all = Vec::new();
    for line in text.split(['\n', '\r']) {
        let mut words = line.split_whitespace();
        if words.next() == Some("options") {
            all.extend(words);
        }
    }
    all.join(" ")
}

proptest! {
    #[test]
    fn entries_keep_their_bytes(
        rows in proptest::collection::vec(("options|title|#options|x", "[ \t]{1,2}", "[a-c=]{0,3}( [a-c]){0,2}"), 0..6),
        at in 0_usize..6,
        crlf: bool,
        end: bool,
    ) {
        let mut rows: Vec<_> = rows.into_iter().map(|(key, gap, value)| key + &gap + &value).collect();
        rows.insert(at.min(rows.len()), "linux /vmlinuz".to_owned());
        let newline = if crlf { "\r\n" } else { "\n" };
        let text = rows.join(newline) + if end { newline } else { "" };
        let after = set_parameters(&text, &ours()).unwrap();
        let wanted = (as_booted(&text) + " intel_iommu=on iommu=pt").trim().to_owned();
        prop_assert_eq!(as_booted(&after), wanted);
        prop_assert_eq!(set_parameters(&after, &ours()).unwrap(), after.clone());
        prop_assert_eq!(remove_parameters(&after, &ours()), text);
    }

    #[test]
    fn no_text_panics(text in "[a-c \t\r\n\"#]{0,20}|.*") {
        let _ = (Entry::parse(&text).options(), remove_parameters(&text, &ours()), set_parameters(&text, &ours()));
    }
}
