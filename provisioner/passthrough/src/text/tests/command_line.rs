use proptest::prelude::*;

use super::*;

fn list(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(ToString::to_string).collect()
}

#[test]
fn tokens_are_cut_as_the_kernel_cuts_them() {
    let line = " root=UUID=1  dyndbg=\"file a.c +p\"\t\"odd key\"=x -- single\n";
    let seen: Vec<_> = tokens(line).collect();
    assert_eq!(seen, ["root=UUID=1", "dyndbg=\"file a.c +p\"", "\"odd key\"=x", "--", "single"]);
    assert_eq!(value(line, "root"), Some(Some("UUID=1")));
    assert_eq!(value(line, "dyndbg"), Some(Some("file a.c +p")));
    assert_eq!(value(line, "single"), None);
    let parameter = Parameter::parse("\"a=b c\"");
    assert_eq!((parameter.key, parameter.value), ("a", Some("b c")));
    let parameter = Parameter::parse("=a=b");
    assert_eq!((parameter.key, parameter.value), ("=a", Some("b")));
}

#[test]
fn set_table() {
    let on = &["intel_iommu=on"][..];
    for (before, wanted, after) in [
        ("", on, "intel_iommu=on"),
        ("quiet", on, "quiet intel_iommu=on"),
        ("intel_iommu=on quiet", on, "intel_iommu=on quiet"),
        ("intel_iommu=on,sm_on quiet", on, "intel_iommu=on,sm_on quiet"),
        ("intel_iommu=sm_on", on, "intel_iommu=sm_on intel_iommu=on"),
        ("a intel_iommu=off  b intel_iommu=off c", on, "a intel_iommu=on  b c"),
        ("intel_iommu=off a intel_iommu=on", on, "a intel_iommu=on"),
        ("intel_iommu=on,off", on, "intel_iommu=on"),
        ("intel-iommu=on", on, "intel-iommu=on"),
        ("quiet -- single", on, "quiet intel_iommu=on -- single"),
        ("-- intel_iommu=on", on, "intel_iommu=on -- intel_iommu=on"),
        ("a b=\"c d", on, "a intel_iommu=on b=\"c d"),
        ("iommu=soft", &["iommu=pt"], "iommu=pt"),
        ("iommu=pt,noforce", &["iommu=pt"], "iommu=pt,noforce"),
        ("vfio-pci.ids=1:2,3:4", &["vfio_pci.ids=1:2"], "vfio_pci.ids=1:2"),
        ("quiet splash", &["quiet", "x=1", "x=1"], "quiet splash x=1"),
        ("console=tty0", &["console=tty0", "console=ttyS0"], "console=tty0 console=ttyS0"),
        ("console=tty1 a", &["console=tty0", "console=ttyS0"], "console=tty0 a console=ttyS0"),
    ] {
        assert_eq!(set(before, &list(wanted)), after, "{before:?} + {wanted:?}");
    }
}

#[test]
fn a_later_contradiction_counts() {
    assert!(has("a intel_iommu=on,sm_on", "intel_iommu=on"));
    assert!(!has("intel_iommu=on intel_iommu=off", "intel_iommu=on"));
    assert!(!has("a -- intel_iommu=on", "intel_iommu=on"));
    assert!(!has("vfio-pci.ids=1:2,3:4", "vfio-pci.ids=1:2"));
    assert!(has("intel_iommu=off", "intel_iommu=off"));
}

#[test]
fn removal_is_exact() {
    let ours = list(&["intel_iommu=on"]);
    assert_eq!(remove("intel_iommu=on a intel_iommu=on,sm_on", &ours), "a intel_iommu=on,sm_on");
    assert_eq!(remove("a  intel_iommu=on  b", &ours), "a   b");
    assert_eq!(remove("a -- intel_iommu=on", &ours), "a -- intel_iommu=on");
}

#[test]
fn root_tokens_are_those_that_lead_to_the_root() {
    let line =
        "BOOT_IMAGE=/x root=UUID=1 rw rootflags=subvol=@ rd.luks.name=1=c quiet rooted=1 zfs=z/r -- ro";
    assert_eq!(root_tokens(line), ["root=UUID=1", "rw", "rootflags=subvol=@", "rd.luks.name=1=c", "zfs=z/r"]);
}

#[test]
fn only_plain_parameters_can_be_written() {
    check(&list(&["intel_iommu=on", "vfio-pci.ids=10de:2204,10de:1aef", "hugepagesz=1G"])).unwrap();
    for bad in ["", "a b", "a'", "a\"b", "a;b", "a$b", "--", "a\nb", "#a", "a`b`", "a\\"] {
        assert!(check(&list(&[bad])).is_err(), "{bad:?}");
    }
}

fn line() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        "[a-d](=[a-c]{1,2})?",
        Just("intel_iommu=off".to_owned()),
        Just("iommu=pt".to_owned()),
        Just("--".to_owned()),
        "x=\"[a-c ]{0,4}\"?",
    ];
    (" {0,2}", proptest::collection::vec((token, "[ \t]{1,2}"), 0..6), " {0,2}").prop_map(
        |(head, parts, tail)| {
            let middle: String = parts.into_iter().flat_map(|(token, space)| [token, space]).collect();
            head + &middle + &tail
        },
    )
}

fn wanted() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(prop_oneof!["[a-f](=[a-c])?", "intel_iommu=(on|off)", "iommu=pt"], 0..4)
}

proptest! {
    #[test]
    fn set_twice_is_set_once(line in line(), wanted in wanted()) {
        let once = set(&line, &wanted);
        prop_assert_eq!(set(&once, &wanted), once.clone());
        let (left, right) = (tokens(&line), tokens(&once));
        let foreign = |token: &&str| !wanted.iter().any(|w| Parameter::parse(w).same_key(Parameter::parse(token)));
        prop_assert_eq!(left.filter(foreign).collect::<Vec<_>>(), right.filter(foreign).collect::<Vec<_>>());
        for token in &wanted {
            let rivals = wanted.iter().filter(|w| Parameter::parse(w).same_key(Parameter::parse(token))).count();
            prop_assert!(rivals > 1 || has(&once, token), "{once:?} lacks {token}");
        }
    }

    #[test]
    fn new_tokens_out_again_gives_the_bytes_back(line in line()) {
        let ours = list(&["new_a=1", "new_b", "new_c=x,y"]);
        let with = set(&line, &ours);
        prop_assert_eq!(tokens(&with).count(), tokens(&line).count() + 3);
        prop_assert_eq!(remove(&with, &ours), line);
    }

    #[test]
    fn no_line_panics(line in ".*", wanted in proptest::collection::vec(".*", 0..3)) {
        let _ = (set(&line, &wanted), remove(&line, &wanted), root_tokens(&line), has(&line, "a"));
    }
}
