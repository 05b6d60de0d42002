//! What cannot be made, or not as it is asked for, is refused by name; what is strange is escaped.

use std::fs;

use crate::{Bench, libvirt};

#[test]
fn strange_values_are_right_or_refused() {
    let bench = Bench::new();
    let path = r#"/srv/it's a "disk" & <more>.qcow2"#;
    let answers = format!("[vm.a]\ndisk = {{ path = '''{path}''' }}\n");
    let understood = libvirt::define(&bench.xml(&answers)).unwrap();
    assert!(
        understood.contains("/srv/it&apos;s a &quot;disk&quot; &amp; &lt;more&gt;.qcow2"),
        "{understood}"
    );
    for (answers, wanted) in [
        ("[vm.a]\nevdev = [\"a'/><b\"]\n".to_owned(), "is no name of /dev/input/by-id"),
        ("[vm.a]\nusb_devices = [\"046d:c52b'/>\"]\n".to_owned(), "is no vendor:product"),
        ("[vm.a]\nrom_file = \"../card.rom\"\n".to_owned(), "`../card.rom` is no absolute path"),
        (
            "[vm.a]\ndisk = { path = \"disk.qcow2\" }\n".to_owned(),
            "vm.a.disk.path: `disk.qcow2` is no absolute path",
        ),
        ("[vm.a]\ndisk = { path = \"/srv/../etc/shadow\" }\n".to_owned(), "is no absolute path"),
        ("[vm.a]\ndisk = { path = \"/dev/sda\" }\n".to_owned(), "`/dev/sda` is no file"),
        ("[vm.a]\ninstall_iso = \"/srv/a\\nb.iso\"\n".to_owned(), r"`/srv/a\nb.iso` is no absolute path"),
        (
            "[vm.a]\nusb_devices = [\"1-2\"]\n".to_owned(),
            "vm.a.usb_devices: this libvirt knows `1-2` by no port",
        ),
        ("[vm.a]\nusb_devices = [\"0-2\"]\n".to_owned(), "`0-2` is no vendor:product and no port"),
        ("[vm.a]\nusb_devices = [\"1-2.'\"]\n".to_owned(), "is no vendor:product and no port"),
        ("[vm.a]\nevdev = [\"../event0\"]\n".to_owned(), "vm.a.evdev: `../event0` is no name"),
        (
            "[vm.a.network]\nkind = \"bridge\"\nbridge = \"br'0\"\n".to_owned(),
            "vm.a.network.bridge: `br\\'0`",
        ),
        (
            "[vm.a.network]\nkind = \"bridge\"\nbridge = \"br9\"\n".to_owned(),
            "vm.a.network.bridge: there is no bridge `br9`",
        ),
        ("[vm.a]\nvcpus = 100\n".to_owned(), "100 processors are wanted, and 12 can be given away"),
        ("[vm.a]\nmemory_mib = 40000\n".to_owned(), "vm.a.memory_mib: 40000 MiB"),
        ("[vm.a]\ncpu_pinning = { first = 99 }\n".to_owned(), "there is no such processor online"),
        ("[vm.a]\ngpus = [\"0000:7f:00.0\"]\n".to_owned(), "0000:7f:00.0 is no GPU that goes to a guest"),
        (
            "[vm.a]\n[audio]\nbackend = \"pipewire\"\n".to_owned(),
            "sound to PipeWire is for one person, and looking_glass.users names nobody",
        ),
        ("[vm.a]\ndisplay = \"vnc\"\n".to_owned(), "sound by SPICE needs a SPICE display"),
        (
            "[vm.a]\npci_devices = [\"0000:7f:00.0\"]\n".to_owned(),
            "vm.a.pci_devices: there is no PCI function",
        ),
        ("schema = 1\n".to_owned(), "the answers name no virtual machine"),
        ("[vm.a]\n[vm.b]\n".to_owned(), "the answers name 2 virtual machines"),
    ] {
        let output = bench.render(&answers, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (3, ""), "{answers}{}", output.stderr);
        let said = output.stderr.replace('\n', " ");
        assert!(said.contains(wanted) && said.contains("hint:"), "{wanted}: {}", output.stderr);
    }
}

/// Whoever reads the answers refuses them: nothing is made of such a name, by no verb.
#[test]
fn a_strange_name_makes_no_domain() {
    let bench = Bench::new();
    for name in
        ["'a/../b'", "\"a\\nb\"", "'<a>'", "\"a'b\"", "'a&b'", "'a\"b'", "-a", "''", "3", &"a".repeat(300)]
    {
        let output = bench.render(&format!("[vm.{name}]\n"), &[]);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{name}{}", output.stderr);
        let said = output.stderr.replace("\n       ", " ");
        assert!(said.contains("cannot be the name of a virtual machine"), "{name}: {said}");
    }
    libvirt::define(&bench.xml(&format!("[vm.{}]\n", "a".repeat(50)))).unwrap();
}

#[test]
fn what_libvirt_cannot_do_is_not_asked_of_it() {
    let bench = Bench::new();
    let folder = bench.ground.target();
    for (from, to, answers, wanted) in [
        ("<tpm supported='yes'>", "<tpm supported='no'>", "[vm.a]\n", "install swtpm"),
        ("<value>spice</value>", "", "[vm.a]\n", "this QEMU has no SPICE"),
        ("<value>efi</value>", "", "[vm.a]\n", "libvirt finds no UEFI firmware"),
    ] {
        let capabilities = libvirt::changed_capabilities(&folder, from, to);
        let output = bench.render_with(answers, &capabilities, &[]);
        assert_eq!(output.code, 3, "{}", output.stdout);
        assert!(output.stderr.replace('\n', " ").contains(wanted), "{}", output.stderr);
    }
    // Windows 10 needs no TPM.
    let without = libvirt::changed_capabilities(&folder, "<tpm supported='yes'>", "<tpm supported='no'>");
    let output = bench.render_with("[vm.a]\nkind = \"windows10\"\n", &without, &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let nonsense = folder.join("nonsense.xml");
    fs::write(&nonsense, "error: no such thing\n").unwrap();
    let output = bench.render_with("[vm.a]\n", &nonsense, &[]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("nonsense.xml: it is no XML"), "{}", output.stderr);
}

#[test]
fn the_document_holds_the_same_domain_and_its_notes() {
    let bench = Bench::new();
    let output = bench.render("[vm.a]\n", &["--json"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let schema =
        fs::read(neuron_tests::tests_folder().join("../provisioner/docs/schema/neuron-domain-1.json"))
            .unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&document), "{document:#}");
    assert_eq!(document["xml"], bench.xml("[vm.a]\n"));
    let keys: Vec<&str> =
        document["notes"].as_array().unwrap().iter().map(|note| note["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["vm.a.disk", "vm.a.kind"], "no disk, and no KVM");
}

#[test]
fn templates_of_the_user_win_and_their_mistakes_have_a_line() {
    let bench = Bench::new();
    let folder = bench.ground.target().join("etc/neuron/templates");
    fs::create_dir_all(&folder).unwrap();
    let template = folder.join("windows11-passthrough.xml.j2");
    fs::write(&template, "<mine name='{{ domain.name }}' mib='{{ memory.mib }}'/>\n").unwrap();
    assert_eq!(bench.xml("[vm.a]\nmemory_mib = 2048\n"), "<mine name='a' mib='2048'/>\n");
    fs::write(&template, "<mine\n name='{{ domain.nmae }}'/>\n").unwrap();
    let output = bench.render("[vm.a]\n", &[]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(
        output.stderr.contains("windows11-passthrough.xml.j2, line 2: undefined value"),
        "{}",
        output.stderr
    );
    // What is extended can be replaced alone.
    fs::write(
        &template,
        "{% extends 'windows.xml.j2' %}\n{% block clock %}<clock offset='utc'/>{% endblock %}\n",
    )
    .unwrap();
    let xml = bench.xml("[vm.a]\n");
    assert!(xml.contains("<clock offset='utc'/>"));
    libvirt::define(&xml).unwrap();
}

#[test]
fn one_rom_is_not_for_several_cards() {
    let bench = Bench::on("lambda-wrx80-2x-4090-gt1030", libvirt::capabilities());
    let both = "[passthrough]\nguest_gpus = [\"0000:41:00.0\", \"0000:61:00.0\"]\n\
                host_gpu = \"0000:62:00.0\"\n[vm.a]\nrom_file = \"/srv/card.rom\"\n";
    let output = bench.render(both, &[]);
    assert_eq!(output.code, 3, "{}{}", output.stdout, output.stderr);
    let said = output.stderr.replace("\n       ", " ");
    assert!(
        said.contains("vm.a.rom_file: /srv/card.rom is the ROM of one card, and it gets 2 GPUs"),
        "{said}"
    );
    let one = bench.xml(&format!("{both}gpus = [\"0000:61:00.0\"]\n"));
    assert_eq!(one.matches("<rom ").count(), 1, "the control: {one}");
    assert!(bench.xml(&both.replace("rom_file", "# ")).matches("<hostdev ").count() > 2);
}

#[test]
fn a_machine_that_gives_nothing_away_gives_nothing_to_a_machine() {
    let bench = Bench::new();
    let groups = bench.ground.machine().join("sys/kernel/iommu_groups");
    fs::remove_dir_all(&groups).unwrap();
    fs::create_dir_all(&groups).unwrap();
    let output = bench.render("[vm.a]\n", &[]);
    assert_eq!(output.code, 3, "{}{}", output.stdout, output.stderr);
    assert_eq!(bench.render("[vm.a]\ngpus = \"none\"\n", &[]).code, 0);
}

/// libvirt asks QEMU only where there is KVM, and not every QEMU answers.
#[test]
fn enlightenments_are_those_that_libvirt_lists_or_those_that_are_old() {
    let bench = Bench::of_kvm();
    let listed =
        fs::read_to_string(neuron_tests::tests_folder().join("domain/kvm-capabilities.xml")).unwrap();
    let (before, rest) = listed.split_once("<hyperv").unwrap();
    let rest = rest.split_once("</hyperv>").unwrap().1;
    let unknown = format!("{before}{rest}");
    // What libvirt 9.0 says of QEMU 7.2 on a machine with KVM.
    let without = "<hyperv supported='yes'><enum name='features'><value>spinlocks</value>\
                   <value>vendor_id</value></enum></hyperv>";
    let half = format!("{before}{without}{rest}");
    let folder = tempfile::tempdir().unwrap();
    let rendered = |text: &str, answers: &str| {
        let path = folder.path().join("capabilities.xml");
        fs::write(&path, text).unwrap();
        let output = bench.render_with(answers, &path, &[]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        (output.stdout, output.stderr.contains("which Hyper-V enlightenments"))
    };
    let less = listed.replace("<value>tlbflush</value>", "");
    assert_ne!(less, listed);
    for (text, kind, has_any, has_one, is_told) in [
        (&listed, "windows11", true, true, false),
        (&less, "windows11", true, false, false),
        (&unknown, "windows11", true, false, true),
        (&half, "windows10", true, false, true),
        (&unknown, "linux", false, false, false),
        (&listed.replace("<domain>kvm<", "<domain>qemu<"), "windows11", false, false, false),
    ] {
        let (xml, said) = rendered(text, &format!("[vm.a]\nkind = \"{kind}\"\n"));
        let has = |element: &str| xml.contains(element);
        assert_eq!(
            (has("<relaxed state='on'/>"), has("<tlbflush state='on'/>")),
            (has_any, has_one),
            "{xml}"
        );
        assert_eq!(has("<timer name='hypervclock' present='yes'/>"), has_any, "{xml}");
        assert_eq!(said, is_told, "{kind}");
        // libvirt's schema knows all of them; that there is no KVM here is nothing to it.
        let here = [
            ("type='kvm'", "type='qemu'"),
            ("mode='host-passthrough' check='none' migratable='off'", "mode='maximum'"),
        ];
        let here = here.iter().fold(xml.clone(), |xml, (from, to)| xml.replace(from, to));
        libvirt::define(&here.replace("<cache mode='passthrough'/>", "")).unwrap();
    }
}
