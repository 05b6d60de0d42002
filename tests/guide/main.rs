//! `vm guide`: what a person is told to do inside a Windows machine, for its answers. Read the snapshots
//! when they change: they are what that person sees.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::fs;

use neuron_tests::program::Output;
use neuron_tests::scenario::Ground;

struct Desk {
    ground: Ground,
}

impl Desk {
    /// Four cores, 32 GiB, a card of four functions; `target` decides where the memory comes from.
    fn new(target: &str) -> Self {
        let desk = Self { ground: Ground::new("made-rtx-usbc-igpu", target).unwrap() };
        let put = |path: &str, text: &str| {
            let path = desk.ground.machine().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("sys/devices/system/cpu/online", "0-3\n");
        for processor in 0..4 {
            let list = format!("sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
            put(&list, &format!("{processor}\n"));
        }
        put("proc/meminfo", "MemTotal:       33554432 kB\n");
        desk
    }

    fn guide(&self, answers: &str, more: &[&str]) -> Output {
        let file = self.ground.beside("answers.toml");
        fs::write(&file, answers).unwrap();
        let arguments = ["vm", "guide", "--answers", file.to_str().unwrap()];
        self.ground.run(&[&arguments[..], more].concat()).unwrap()
    }

    fn text(&self, answers: &str) -> String {
        let output = self.guide(answers, &[]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        output.stdout
    }
}

const USUAL: &str = "[vm.windows11]\n\
    disk = { path = \"/var/lib/libvirt/images/windows11.qcow2\" }\n\
    install_iso = \"/srv/Win11.iso\"\nvirtio_iso = \"/srv/virtio-win.iso\"\n\
    [looking_glass]\nusers = [\"vera\"]\n";

#[test]
fn windows_11_with_looking_glass() {
    insta::assert_snapshot!(Desk::new("looking-glass").text(USUAL));
}

#[test]
fn windows_10_without_much() {
    let answers =
        "[vm.box]\nkind = \"windows10\"\ngpus = \"none\"\ndisplay = \"vnc\"\n[audio]\nbackend = \"none\"\n";
    insta::assert_snapshot!(Desk::new("arch-grub").text(answers));
}

#[test]
fn scream_over_a_bridge_and_kvmfr() {
    let answers = format!(
        "{}transport = \"kvmfr\"\nresolution = \"3840x2160\"\nhdr = true\n[audio]\nbackend = \"scream\"\n\
         [vm.windows11.network]\nkind = \"bridge\"\nbridge = \"br7\"\n",
        USUAL.replace("[vm.windows11]\n", "[vm.windows11]\ndisplay = \"none\"\n")
    );
    insta::assert_snapshot!(Desk::new("looking-glass-kvmfr").text(&answers));
}

/// It speaks of this machine: other answers, another guide.
#[test]
fn it_follows_the_answers_and_the_client() {
    let desk = Desk::new("looking-glass");
    let usual = desk.text(USUAL);
    let pipewire = desk.text(&format!("{USUAL}[audio]\nbackend = \"pipewire\"\n"));
    assert!(pipewire.contains("the host's PipeWire plays it") && !usual.contains("PipeWire"), "{pipewire}");
    assert!(usual.contains("at most **2560x1440**") && usual.contains("of 64 MiB"), "{usual}");
    assert!(usual.contains("VEN_10DE&DEV_1E87") && !usual.contains("VEN_1002"), "{usual}");
    assert_eq!(usual.matches("Where-Object InstanceId -like 'PCI\\VEN_10DE").count(), 4, "{usual}");
    // The client's release, where the system has one.
    let package = desk.ground.target().join("var/lib/pacman/local/looking-glass-2:B6-3");
    fs::create_dir_all(&package).unwrap();
    fs::create_dir_all(desk.ground.target().join("usr/bin")).unwrap();
    fs::write(desk.ground.target().join("usr/bin/looking-glass-client"), "").unwrap();
    fs::write(package.join("desc"), "%NAME%\nlooking-glass\n\n%VERSION%\n2:B6-3\n").unwrap();
    let older = desk.text(USUAL);
    assert!(older.contains("of release **B6** from") && usual.contains("of release **B7** from"), "{older}");
    // A machine without a GPU has no picture to bring over.
    let without = desk.text(&USUAL.replace("[looking_glass]", "gpus = \"none\"\n[looking_glass]"));
    assert!(!without.contains("Looking Glass host") && !without.contains("VEN_10DE"), "{without}");
    assert!(without.contains("## 3. Sound"), "{without}");
}

#[test]
fn what_has_no_guide_is_told_and_a_template_of_the_user_wins() {
    let desk = Desk::new("looking-glass");
    for (answers, wanted) in [
        ("[vm.a]\nkind = \"linux\"\n", "vm.a: the guide is for Windows"),
        ("[vm.a]\n[vm.b]\n", "the answers name 2 virtual machines"),
        ("schema = 1\n", "the answers name no virtual machine"),
        ("[vm.a]\nvcpus = 40\n", "40 processors are wanted"),
    ] {
        let output = desk.guide(answers, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (3, ""), "{answers}{}", output.stderr);
        assert!(output.stderr.contains(wanted) && output.stderr.contains("hint:"), "{}", output.stderr);
    }
    let named = desk.guide("[vm.a]\n", &["b"]);
    assert_eq!(named.code, 3, "{}", named.stderr);
    let json: serde_json::Value = serde_json::from_str(&desk.guide(USUAL, &["--json"]).stdout).unwrap();
    assert_eq!(json["markdown"], desk.text(USUAL));
    let folder = desk.ground.target().join("etc/neuron/templates");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("guide-windows.md.j2"), "{{ system }} <{{ memory.path }}>\n").unwrap();
    assert_eq!(desk.text(USUAL), "Windows 11 </dev/shm/looking-glass>");
    fs::write(folder.join("guide-windows.md.j2"), "{{ systme }}\n").unwrap();
    let wrong = desk.guide(USUAL, &[]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("guide-windows.md.j2, line 1: undefined value"), "{}", wrong.stderr);
}
