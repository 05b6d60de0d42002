use proptest::prelude::*;

use super::*;

const CONF: &str = "timeout: 3\n# a comment\n${BASE}=root=UUID=1 rw\n\n/Arch Linux\n    protocol: linux\n    \
                    path: boot():/vmlinuz-linux\n    cmdline: root=UUID=1 rw quiet\n    \
                    module_path: boot():/initramfs-linux.img\n/+More\n//From a macro\n\tCMDLINE: ${BASE} \
                    splash\n//Windows\n    protocol: efi\n    path: boot():/EFI/Microsoft/Boot/bootmgfw.efi\n";

fn ours() -> Vec<String> {
    vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
}

fn this_system(entry: &Entry) -> bool {
    entry.command_line().is_some_and(|line| line.contains("root=UUID=1"))
}

#[test]
fn entries_are_read_with_their_macros() {
    let entries = entries(CONF, Format::Conf);
    let titles: Vec<_> = entries.iter().map(|entry| (entry.line, entry.title.as_str())).collect();
    assert_eq!(titles, [(5, "/Arch Linux"), (10, "/+More"), (11, "//From a macro"), (13, "//Windows")]);
    assert_eq!(entries[0].kernel(), Some("boot():/vmlinuz-linux"));
    assert_eq!(entries[2].command_line(), Some("root=UUID=1 rw splash"));
    assert_eq!(entries[3].command_line(), None);
    assert_eq!(entries[0].values("module_path").collect::<Vec<_>>(), [(9, "boot():/initramfs-linux.img")]);
}

#[test]
fn set_table() {
    for (format, before, after) in [
        (Format::Conf, "/a\ncmdline: x root=UUID=1", "/a\ncmdline: x root=UUID=1 intel_iommu=on iommu=pt"),
        (
            Format::Conf,
            "/a\r\n  KERNEL_CMDLINE:root=UUID=1 \r\n",
            "/a\r\n  KERNEL_CMDLINE:root=UUID=1 intel_iommu=on iommu=pt \r\n",
        ),
        (
            Format::Cfg,
            ":a\nCMDLINE=root=UUID=1\n:b\nCMDLINE=root=UUID=2\n",
            ":a\nCMDLINE=root=UUID=1 intel_iommu=on iommu=pt\n:b\nCMDLINE=root=UUID=2\n",
        ),
        (
            Format::Conf,
            "${I}=intel_iommu=on\n/a\ncmdline: root=UUID=1 ${I}\n",
            "${I}=intel_iommu=on\n/a\ncmdline: root=UUID=1 ${I} iommu=pt\n",
        ),
        (Format::Conf, "cmdline: root=UUID=1\n", "cmdline: root=UUID=1\n"),
        (Format::Conf, "/a\n# cmdline: root=UUID=1\n", "/a\n# cmdline: root=UUID=1\n"),
    ] {
        let set = set_parameters(before, format, &ours(), this_system).unwrap();
        assert_eq!(set, after);
        assert_eq!(set_parameters(&set, format, &ours(), this_system).unwrap(), set);
    }
    let set = set_parameters(CONF, Format::Conf, &ours(), this_system).unwrap();
    assert_eq!(set.matches(" intel_iommu=on iommu=pt\n").count(), 2);
    assert_eq!(remove_parameters(&set, Format::Conf, &ours(), this_system), CONF);
}

#[test]
fn what_a_macro_says_otherwise_is_refused() {
    let text = "${X}=-- iommu=off\n/a\ncmdline: root=UUID=1 ${X}\n";
    let error = set_parameters(text, Format::Conf, &ours(), this_system).unwrap_err();
    assert_eq!((error.line, error.value.as_str()), (Some(3), "intel_iommu=on"));
    assert!(set_parameters(CONF, Format::Conf, &["a b".to_owned()], this_system).is_err());
}

#[test]
fn only_what_was_added_goes() {
    let original = "/a\ncmdline: root=UUID=1 iommu=pt\n/b\ncmdline: root=UUID=2 iommu=pt\n";
    let set = set_parameters(original, Format::Conf, &ours(), this_system).unwrap();
    let later = set.replace("/a\n", "timeout: 9\n/a\n") + "/c\ncmdline: iommu=pt intel_iommu=on\n";
    let kept = remove_added(&later, original, Format::Conf, &ours());
    let wanted = original.replace("/a\n", "timeout: 9\n/a\n") + "/c\ncmdline: iommu=pt intel_iommu=on\n";
    assert_eq!(kept, wanted);
}

#[test]
fn a_copy_has_its_own_title_and_command_line() {
    let hash = "0f".repeat(64);
    let text = format!(
        "${{B}}=root=UUID=1\n//+A b\n protocol: linux\n# no\n KERNEL_PATH: boot():/k#{hash}\n cmdline: ${{B}} x\n cmdline: y\n\
         module_path: boot():/i.img\n"
    );
    let all = entries(&text, Format::Conf);
    let copied = copy(&all[0], Format::Conf, "A b, again", "root=UUID=1 z", str::to_owned);
    assert_eq!(
        copied,
        "/A b, again\n    protocol: linux\n    kernel_path: boot():/k\n    cmdline: root=UUID=1 z\n    \
         module_path: boot():/i.img\n"
    );
    assert_eq!(all[0].name(), "A b");
    let again = entries(&copied, Format::Conf);
    assert_eq!((again[0].command_line(), again[0].kernel()), (Some("root=UUID=1 z"), Some("boot():/k")));
    let cfg = ":A\nKERNEL_PATH=boot:///k\nCMDLINE=root=UUID=1\n";
    assert_eq!(
        copy(&entries(cfg, Format::Cfg)[0], Format::Cfg, "B", "b", |value| value.replace("/k", "/K")),
        ":B\n    KERNEL_PATH=boot:///K\n    CMDLINE=b\n"
    );
}

#[test]
fn checksums_are_seen() {
    let mark = CHECKSUM_MARK;
    assert!(has_enrolled_checksum(&format!("\u{fffd}x{mark}{}ab\0", "0".repeat(126))));
    for none in [format!("{mark}{}", "0".repeat(128)), mark.to_owned(), String::new(), "ab".repeat(64)] {
        assert!(!has_enrolled_checksum(&none), "{none}");
    }
    let hash = "0f".repeat(64);
    assert_eq!(path_hash(&format!("boot():/initramfs.img#{hash}")), Some(hash.as_str()));
    assert_eq!(path_hash("boot():/a#b"), None);
}

/// Limine's reading of one key, written down apart from the parser above: cut at newlines, drop
/// carriage returns and blanks, compare without case.
fn as_limine_reads(text: &str) -> Vec<String> {
    let lines = text.split('\n').map(|line| line.replace('\r', ""));
    let mut within = false;
    let mut found = Vec::new();
    for line in lines {
        let line = line.trim_start_matches([' ', '\t']).to_owned();
        within |= line.starts_with('/');
        let lower = line.to_ascii_lowercase();
        if let (true, Some(value)) = (within, lower.strip_prefix("cmdline:")) {
            found.push(value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    found
}

proptest! {
    #[test]
    fn in_and_out_again(
        text in "(timeout: 3\r?\n)?([ \t]{0,2}(/[a-c]|cmdline: ?[a-c]( root=UUID=[12])?( [a-c])?|#[a-c: ]{0,5}|[a-c]{1,4}: x)\r?\n){0,9}(/d)?"
    ) {
        let after = set_parameters(&text, Format::Conf, &ours(), this_system).unwrap();
        let wanted: Vec<String> = as_limine_reads(&text)
            .into_iter()
            .map(|line| if line.contains("root=uuid=1") { line + " intel_iommu=on iommu=pt" } else { line })
            .collect();
        // An entry with two command lines is judged by the first, which is the one Limine takes.
        if !entries(&text, Format::Conf).iter().any(|entry| entry.command_lines().count() > 1) {
            prop_assert_eq!(as_limine_reads(&after), wanted);
        }
        prop_assert_eq!(set_parameters(&after, Format::Conf, &ours(), this_system).unwrap(), after.clone());
        prop_assert_eq!(remove_parameters(&after, Format::Conf, &ours(), this_system), text.clone());
        prop_assert_eq!(remove_added(&after, &text, Format::Conf, &ours()), text);
    }
}
