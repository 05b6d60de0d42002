use proptest::prelude::*;

use super::*;

const LINUX: &str = "# made by mkrlconf\n\"Boot with standard options\"  \"root=UUID=1 rw quiet \
                     initrd=boot\\initramfs-linux.img\"\n\"Boot to single-user mode\"\t\"root=UUID=1 rw single\" \
                     third # why\n\"Other\" \"root=UUID=2\"\n#\"Old\" \"root=UUID=1\"\nplain root=UUID=1\n";
const STANZAS: &str = "timeout 20\nmenuentry \"Arch Linux\" {\n    loader /vmlinuz-linux\n    options \"root=UUID=1 \
                       rw\"\n    submenuentry \"terminal\" {\n        add_options \"systemd.unit=multi-user\"\n    \
                       }\n}\n#menuentry Old {\n#  options \"root=UUID=1\"\n#}\n";

fn ours() -> Vec<String> {
    vec!["intel_iommu=on".to_owned(), "iommu=pt".to_owned()]
}

fn this_system(one: &Options<'_>) -> bool {
    command_line::value(one.text, "root") == Some(Some("UUID=1"))
}

#[test]
fn lines_are_read() {
    let found: Vec<_> =
        options(LINUX, Format::Linux).iter().map(|one| (one.line, one.label, one.text)).collect();
    assert_eq!(
        found,
        [
            (2, "Boot with standard options", "root=UUID=1 rw quiet initrd=boot\\initramfs-linux.img"),
            (3, "Boot to single-user mode", "root=UUID=1 rw single"),
            (4, "Other", "root=UUID=2"),
        ]
    );
    let found: Vec<_> =
        options(STANZAS, Format::Stanzas).iter().map(|one| (one.line, one.label, one.text)).collect();
    let wanted = [(4, "Arch Linux", "root=UUID=1 rw"), (6, "Arch Linux", "systemd.unit=multi-user")];
    assert_eq!(found, wanted);
    assert!(options("options \"root=UUID=1\"\n", Format::Stanzas).is_empty(), "outside of a stanza");
}

#[test]
fn set_table() {
    for (format, before, after) in [
        (
            Format::Linux,
            "\"a\" \"root=UUID=1\"\r\n\"b\" \"x\"",
            "\"a\" \"root=UUID=1 intel_iommu=on iommu=pt\"\r\n\"b\" \"x\"",
        ),
        (Format::Linux, "a,\"iommu=off root=UUID=1\"c\n", "a,\"iommu=pt root=UUID=1 intel_iommu=on\"c\n"),
        (
            Format::Linux,
            "\"a \"\"b\"\"\" \"root=UUID=1 dyndbg=\"\"file x\"\"\"\n",
            "\"a \"\"b\"\"\" \"root=UUID=1 dyndbg=\"\"file x\"\" intel_iommu=on iommu=pt\"\n",
        ),
    ] {
        let set = set_parameters(before, format, &ours(), this_system).unwrap();
        assert_eq!(set, after);
        assert_eq!(set_parameters(&set, format, &ours(), this_system).unwrap(), set);
    }
    for (format, text, lines) in [(Format::Linux, LINUX, 2), (Format::Stanzas, STANZAS, 1)] {
        let set = set_parameters(text, format, &ours(), this_system).unwrap();
        assert_eq!(set.matches(" intel_iommu=on iommu=pt\"").count(), lines);
        assert_eq!(remove_parameters(&set, format, &ours(), this_system), text);
        assert_eq!(remove_added(&set, text, format, &ours()), text);
    }
}

#[test]
fn an_open_quote_is_refused_by_its_line() {
    let error = set_parameters("\n\"a\" \"root=UUID=1\n", Format::Linux, &ours(), this_system).unwrap_err();
    assert_eq!(error.line, Some(2));
    assert!(set_parameters("\n\"a\" \"root=UUID=2\n", Format::Linux, &ours(), this_system).is_ok());
    assert!(set_parameters(LINUX, Format::Linux, &["a b".to_owned()], this_system).is_err());
}

#[test]
fn what_a_stanza_starts_is_its_own_and_not_what_hides_behind_it() {
    let text = "menuentry A {\n loader /a\n}\nmenuentry \"B\" {\n Loader \"/boot/b c\" # why\n initrd=/b.img\n options \
                \"root=UUID=1\"\n submenuentry x {\n loader /x\n initrd\n }\n initrd /late\n}\nmenuentry C {\n loader /c\n}\n";
    let all = options(text, Format::Stanzas);
    assert_eq!(started(text, &all[0]), [("loader", "/boot/b c"), ("initrd", "/b.img"), ("initrd", "/late")]);
    let bare = "menuentry A {\n options \"root=UUID=1\"\n}\n";
    assert_eq!(started(bare, &options(bare, Format::Stanzas)[0]), []);
}

#[test]
fn a_way_back_stands_beside_its_line_and_goes_again() {
    let starts = [("loader", "/k".to_owned()), ("initrd", "/i".to_owned())];
    for (format, text, is_default, at) in [
        (Format::Linux, LINUX, false, 1),
        (Format::Linux, LINUX, true, 0),
        (Format::Linux, "\"a\" \"root=UUID=1\"", false, 1),
        (Format::Stanzas, STANZAS, false, 1),
    ] {
        let all = options(text, format);
        let beside = all.iter().position(|one| this_system(one)).unwrap();
        let way_back = WayBack { label: "a, again", line: "root=UUID=1 z", starts: &starts };
        let with = with_way_back(text, format, &all[beside], way_back, is_default);
        let now = options(&with, format);
        assert_eq!((now.len(), now[beside + at].text), (all.len() + 1, "root=UUID=1 z"), "{with}");
        assert_eq!(now[beside + at].is_sub, format == Format::Stanzas);
        assert_eq!(
            with.contains("loader \"/k\"\n        initrd \"/i\"\n"),
            format == Format::Stanzas,
            "{with}"
        );
        assert_eq!(block::remove_block(&with), text);
    }
}

#[test]
fn only_what_was_added_goes() {
    let original = "\"a\" \"root=UUID=1 iommu=pt\"\n\"b\" \"root=UUID=2 iommu=pt\"\n";
    let set = set_parameters(original, Format::Linux, &ours(), this_system).unwrap();
    let later = format!("# mine\n{set}\"c\" \"iommu=pt\"\n");
    assert_eq!(
        remove_added(&later, original, Format::Linux, &ours()),
        format!("# mine\n{original}\"c\" \"iommu=pt\"\n")
    );
}

proptest! {
    #[test]
    fn in_and_out_again(
        text in "((\"[a-c ]{0,4}\"|[a-c]{1,3})[ \t=,]{1,2}\"[a-c]?( root=UUID=[12])?( [a-c]{1,2})?\"( [a-c]{1,3})?( ?#[a-c\" ]{0,4})?\r?\n|#[a-c\"= ]{0,6}\n|\n){0,6}"
    ) {
        let after = set_parameters(&text, Format::Linux, &ours(), this_system).unwrap();
        let count = options(&text, Format::Linux).iter().filter(|one| this_system(one)).count();
        prop_assert_eq!(after.matches(" intel_iommu=on iommu=pt\"").count(), count);
        prop_assert_eq!(after.replace(" intel_iommu=on iommu=pt\"", "\""), text.clone());
        prop_assert_eq!(set_parameters(&after, Format::Linux, &ours(), this_system).unwrap(), after.clone());
        prop_assert_eq!(remove_parameters(&after, Format::Linux, &ours(), this_system), text.clone());
        prop_assert_eq!(remove_added(&after, &text, Format::Linux, &ours()), text);
    }
}
