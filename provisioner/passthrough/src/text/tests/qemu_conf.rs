//! `cgroup_device_acl` in the forms that libvirt reads, and in those that it does not.

use proptest::prelude::*;

use super::*;

const KVMFR: [&str; 1] = ["/dev/kvmfr0"];

/// As Debian 12 ships it, cut short.
const SHIPPED: &str = "# Master configuration file.\n\
    #user = \"libvirt-qemu\"\n\
    #\n\
    #cgroup_device_acl = [\n\
    #    \"/dev/null\", \"/dev/full\", \"/dev/zero\",\n\
    #    \"/dev/random\", \"/dev/urandom\",\n\
    #    \"/dev/ptmx\", \"/dev/userfaultfd\"\n\
    #]\n\
    #\n\
    # RDMA migration requires further files.\n\
    max_files = 32768\n";

#[test]
fn without_a_list_one_is_made_of_what_the_file_shows() {
    let with = allow(SHIPPED, &KVMFR).unwrap();
    assert!(with.starts_with(SHIPPED), "{with}");
    let all = devices(&with).unwrap().unwrap();
    let shown = [
        "/dev/null",
        "/dev/full",
        "/dev/zero",
        "/dev/random",
        "/dev/urandom",
        "/dev/ptmx",
        "/dev/userfaultfd",
    ];
    assert_eq!(all[..7], shown);
    assert_eq!(all[7..], ["/dev/kvm", "/dev/kvmfr0"], "a list replaces what libvirt allows by itself");
    assert_eq!(allow(&with, &KVMFR).unwrap(), with);
    assert_eq!(disallow(&with, &KVMFR).unwrap(), SHIPPED);
    // A second memory: the block is made anew.
    let two = allow(&with, &["/dev/kvmfr0", "/dev/kvmfr1"]).unwrap();
    assert_eq!(devices(&two).unwrap().unwrap()[8..], ["/dev/kvmfr0", "/dev/kvmfr1"]);
    assert_eq!(disallow(&two, &[]).unwrap(), SHIPPED);
}

#[test]
fn without_a_list_and_without_a_comment_the_known_ones_are_kept() {
    for text in ["", "user = \"root\"\n", "#cgroup_device_acl = [\n# broken\n"] {
        let all = devices(&allow(text, &KVMFR).unwrap()).unwrap().unwrap();
        assert_eq!(all.len(), BY_ITSELF.len() + 1, "{text}: {all:?}");
        assert!(BY_ITSELF.iter().all(|device| all.iter().any(|one| one == device)), "{all:?}");
    }
}

#[test]
fn a_list_keeps_what_stands_there() {
    for (text, wanted) in [
        (
            "cgroup_device_acl = [ \"/dev/null\" ]\n",
            "cgroup_device_acl = [ \"/dev/null\", \"/dev/kvmfr0\" ]\n",
        ),
        (
            "cgroup_device_acl=['/dev/null',\n  '/dev/kvm',\n]",
            "cgroup_device_acl=['/dev/null',\n  '/dev/kvm', \"/dev/kvmfr0\",\n]",
        ),
        ("cgroup_device_acl = [ ]\r\n", "cgroup_device_acl = [\"/dev/kvmfr0\" ]\r\n"),
        (
            "user = \"a # b\"; cgroup_device_acl = [\n\"\"\"/dev/null\"\"\"\n] # why\nx = 1\n",
            "user = \"a # b\"; cgroup_device_acl = [\n\"\"\"/dev/null\"\"\", \"/dev/kvmfr0\"\n] # why\nx = 1\n",
        ),
    ] {
        assert_eq!(allow(text, &KVMFR).as_deref(), Ok(wanted), "{text}");
        assert_eq!(disallow(wanted, &KVMFR).as_deref(), Ok(text), "{text}");
    }
    let has_it = "cgroup_device_acl = [ \"/dev/kvmfr0\", \"/dev/null\" ]\n";
    assert_eq!(allow(has_it, &KVMFR).as_deref(), Ok(has_it));
    assert_eq!(disallow(has_it, &KVMFR).as_deref(), Ok("cgroup_device_acl = [ \"/dev/null\" ]\n"));
}

#[test]
fn a_list_that_somebody_writes_beside_our_block_takes_its_place() {
    let theirs = "cgroup_device_acl = [ \"/dev/null\" ]\n".to_owned() + &allow("", &KVMFR).unwrap();
    assert_eq!(
        allow(&theirs, &KVMFR).as_deref(),
        Ok("cgroup_device_acl = [ \"/dev/null\", \"/dev/kvmfr0\" ]\n")
    );
}

#[test]
fn what_libvirt_does_not_read_is_not_edited() {
    for (text, line) in [
        ("cgroup_device_acl = \"/dev/null\"\n", 1),
        ("a = 1\ncgroup_device_acl = 4\n", 2),
        ("cgroup_device_acl = [ \"/dev/null\" ]\n\ncgroup_device_acl = [ ]\n", 3),
        ("cgroup_device_acl = [ \"/dev/null\" \"/dev/full\" ]\n", 1),
        ("cgroup_device_acl = [\n# why\n\"/dev/null\" ]\n", 2),
        ("cgroup_device_acl = [ \"/dev/null\n\" ]\n", 1),
        ("cgroup_device_acl = [ \"/dev/null\"", 1),
        ("\ncgroup_device_acl\n", 2),
        ("= 4\n", 1),
        ("a = yes\n", 1),
    ] {
        for error in [allow(text, &KVMFR).unwrap_err(), disallow(text, &KVMFR).unwrap_err()] {
            assert_eq!(error.line, Some(line), "{text}: {error}");
            assert!(!error.value.is_empty(), "{text}: {error:?}");
        }
    }
}

/// Texts that libvirt reads, with and without a list.
fn readable() -> impl Strategy<Value = String> {
    let other = "(#[a-z =\"\\[]{0,9}|[a-z]{1,4} = [0-9]{1,2}|[a-z]{1,4} = \"[a-z# ]{0,5}\"|)";
    let element = "(\"/dev/[a-z]{1,3}\"|'/dev/[a-z]{1,3}')";
    let list =
        (proptest::collection::vec(element, 0..4), "[ \n]{0,2}", "( |,|)").prop_map(|(all, gap, last)| {
            let last = if all.is_empty() { "" } else { last.trim() };
            format!("cgroup_device_acl = [{gap}{}{last}{gap}]", all.join(&format!(",{gap}")))
        });
    let lines = (
        proptest::collection::vec(other, 0..3),
        proptest::option::of(list),
        proptest::collection::vec(other, 0..3),
        "\n?",
    );
    lines.prop_map(|(before, list, behind, end)| {
        let lines: Vec<String> = before.into_iter().chain(list).chain(behind).collect();
        lines.join("\n") + &end
    })
}

#[test]
fn who_runs_qemu_is_read_as_libvirt_reads_it() {
    for (text, wanted) in [
        (SHIPPED, None),
        ("", None),
        ("user = \"vera\"\n", Some("vera")),
        ("group='kvm'; user = '+1000' # mine\n", Some("+1000")),
        ("user = \"vera\"\nuser = \"kim\"\n", Some("vera")),
        ("swtpm_user = \"tss\"\n", None),
    ] {
        assert_eq!(user(text).unwrap().as_deref(), wanted, "{text}");
    }
    for text in ["user = 1000\n", "user = [ \"vera\" ]\n", "user = \"vera\n", "user vera\n"] {
        assert!(user(text).is_err(), "{text}");
    }
    assert_eq!(group("user = \"vera\"\ngroup = \"kvm\"\n").unwrap().as_deref(), Some("kvm"));
    assert_eq!(group("user = \"vera\"\n").unwrap(), None);
    assert!(group("group = 36\n").is_err());
}

#[test]
fn what_libvirt_chooses_itself_is_in_a_comment() {
    assert_eq!(own_choice(SHIPPED, "user"), Some("libvirt-qemu"));
    assert_eq!(own_choice(SHIPPED, "group"), None);
    let examples = "#       user = \"qemu\"   # A user named \"qemu\"\n#\n# user = \"vera\"\n";
    assert_eq!(own_choice(examples, "user"), None, "those are examples");
    assert_eq!(own_choice(&format!("{examples}#user = \"nobody\"\n"), "user"), Some("nobody"));
}

proptest! {
    #[test]
    fn in_and_out_again_gives_the_bytes_back(text in readable()) {
        let with = allow(&text, &KVMFR).unwrap();
        let before = devices(&text).unwrap();
        let after = devices(&with).unwrap().unwrap();
        prop_assert_eq!(after.last().map(String::as_str), Some("/dev/kvmfr0"));
        if let Some(before) = before {
            prop_assert_eq!(&after[..after.len() - 1], &before[..]);
        }
        prop_assert_eq!(allow(&with, &KVMFR).unwrap(), with.clone());
        prop_assert_eq!(disallow(&with, &KVMFR).unwrap(), text);
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = allow(&text, &KVMFR);
        let _ = disallow(&text, &KVMFR);
    }
}
