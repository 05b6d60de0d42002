//! The whole dialogue as a table: what is asked in which order, and what the answers become.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use neuron_passthrough::root::Root;
use neuron_tests::scenario::Ground;

use super::super::{Kind, Part};
use super::*;

/// What somebody says to a question.
#[derive(Debug, Clone, Copy)]
enum Say {
    /// What is proposed.
    Yes,
    /// The option with this number, counted from 0.
    Take(usize),
    /// This line.
    Line(&'static str),
    /// A line that cannot be, and a part of the reason.
    Wrong(&'static str, &'static str),
    /// Back.
    Back,
}

use Say::{Back, Line, Take, Wrong, Yes};

/// How it ends.
enum Ends {
    /// With these answers, besides what stands in every file.
    With(&'static str),
    /// Nothing is wanted.
    Away,
}

struct Case {
    name: &'static str,
    machine: &'static str,
    /// The answers that are followed before.
    before: &'static str,
    said: &'static [(&'static str, Say)],
    ends: Ends,
}

/// Two cards, one of them part of the processor.
const TWO: &str = "made-rtx-usbc-igpu";
/// Three cards of three kinds.
const THREE: &str = "prime-x370-three-gpus";

const BEGIN: [(&str, Say); 3] = [("begin", Yes), ("card", Yes), ("start", Yes)];

const CASES: &[Case] = &[
    Case {
        name: "everything that is proposed",
        machine: TWO,
        before: "",
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Yes),
            ("resolution", Yes),
            ("hdr", Yes),
            ("users", Yes),
            ("users", Yes),
            ("machine", Yes),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("disk-size", Yes),
            ("install-iso", Yes),
            ("virtio-iso", Yes),
            ("network", Yes),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nusers = [\"ada\"]\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n\
             [vm.windows11]\ninstall_iso = \"/home/ada/Downloads/Win11_24H2.iso\"\nkind = \"windows11\"\n\
             memory_mib = 8192\nvcpus = 4\nvirtio_iso = \"/var/lib/libvirt/images/virtio-win.iso\"\n\n\
             [vm.windows11.disk]\npath = \"/var/lib/libvirt/images/windows11.qcow2\"\nsize_gib = 128\n",
        ),
    },
    Case {
        name: "no to everything",
        machine: TWO,
        before: "",
        said: &[("begin", Take(1))],
        ends: Ends::Away,
    },
    Case {
        name: "no card",
        machine: TWO,
        before: "",
        said: &[("begin", Yes), ("card", Take(2))],
        ends: Ends::With("[passthrough]\nmode = \"off\"\n"),
    },
    Case {
        name: "without trial, Looking Glass and machine",
        machine: TWO,
        before: "",
        said: &[BEGIN[0], BEGIN[1], ("start", Take(1)), ("looking-glass", Take(1)), ("machine", Take(3))],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\ntrial = false\n",
        ),
    },
    Case {
        name: "the entry without passthrough stays the default; a resolution that is typed, HDR, nobody",
        machine: TWO,
        before: "",
        said: &[
            BEGIN[0],
            BEGIN[1],
            ("start", Take(2)),
            ("looking-glass", Take(0)),
            ("resolution", Take(4)),
            ("other-resolution", Wrong("large", "is not WIDTHxHEIGHT")),
            ("other-resolution", Line("5120 X 1440")),
            ("hdr", Take(1)),
            ("users", Take(0)),
            ("users", Take(0)),
            ("users", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With(
            "[looking_glass]\nhdr = true\nresolution = \"5120x1440\"\n\n[passthrough]\n\
             default_entry = \"host\"\nguest_gpus = [\"10de:1e87\"]\n",
        ),
    },
    Case {
        name: "back from everywhere, and everything is proposed as it was answered",
        machine: TWO,
        before: "",
        said: &[
            BEGIN[0],
            BEGIN[1],
            ("start", Take(0)),
            ("looking-glass", Back),
            ("start", Take(1)),
            ("looking-glass", Yes),
            ("resolution", Take(0)),
            ("hdr", Take(1)),
            ("users", Back),
            ("hdr", Take(0)),
            ("users", Take(1)),
            ("machine", Back),
            ("users", Yes),
            ("machine", Take(1)),
            ("name", Wrong("two words", "cannot be its name")),
            ("name", Line("games")),
            ("memory", Wrong("0", "no whole number")),
            ("memory", Line("16")),
            ("processors", Back),
            ("memory", Yes),
            ("processors", Line("8")),
            ("disk", Wrong("games.qcow2", "no whole path")),
            ("disk", Wrong("/dev/sda", "only image files")),
            ("disk", Line("/srv/there.qcow2")),
            ("install-iso", Wrong("/home", "is no file")),
            ("install-iso", Wrong("/nowhere.iso", "there is no file")),
            ("install-iso", Line("none")),
            ("virtio-iso", Line("none")),
            ("network", Back),
            ("virtio-iso", Yes),
            ("network", Take(1)),
            ("bridge", Wrong("no bridge", "no name of a network interface")),
            ("bridge", Back),
            ("network", Take(2)),
            ("interface", Line("enp5s0")),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nresolution = \"1920x1080\"\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\
             trial = false\n\n[vm.games]\nkind = \"windows10\"\nmemory_mib = 16384\nvcpus = 8\n\n\
             [vm.games.disk]\npath = \"/srv/there.qcow2\"\nsize_gib = 128\n\n[vm.games.network]\n\
             interface = \"enp5s0\"\nkind = \"macvtap\"\n",
        ),
    },
    Case {
        name: "a machine for Linux, on a bridge; no medium with drivers is asked for",
        machine: TWO,
        before: "",
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Take(2)),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("disk-size", Wrong("plenty", "no whole number")),
            ("disk-size", Line("64")),
            ("install-iso", Line("none")),
            ("network", Take(1)),
            ("bridge", Line("br7")),
            ("bridge-port", Back),
            ("bridge", Line("br7")),
            ("bridge-port", Take(0)),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.linux]\n\
             kind = \"linux\"\nmemory_mib = 8192\nvcpus = 4\n\n[vm.linux.disk]\n\
             path = \"/var/lib/libvirt/images/linux.qcow2\"\nsize_gib = 64\n\n[vm.linux.network]\n\
             bridge = \"br7\"\nbridge_port = \"enp5s0\"\nkind = \"bridge\"\n",
        ),
    },
    Case {
        name: "the same on a bridge that somebody else makes",
        machine: TWO,
        before: "",
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Take(2)),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("disk-size", Wrong("plenty", "no whole number")),
            ("disk-size", Line("64")),
            ("install-iso", Line("none")),
            ("network", Take(1)),
            ("bridge", Line("br7")),
            ("bridge-port", Take(1)),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.linux]\n\
             kind = \"linux\"\nmemory_mib = 8192\nvcpus = 4\n\n[vm.linux.disk]\n\
             path = \"/var/lib/libvirt/images/linux.qcow2\"\nsize_gib = 64\n\n[vm.linux.network]\n\
             bridge = \"br7\"\nkind = \"bridge\"\n",
        ),
    },
    Case {
        name: "a machine that the answers have is taken up, and nothing of it is lost",
        machine: TWO,
        before: "[vm.old]\nkind = \"windows10\"\nhugepages = \"2M\"\nmemory_mib = 6144\nvcpus = 3\n\
                 disk = { path = \"/srv/there.qcow2\" }\n[audio]\nbackend = \"none\"\n",
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Yes),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("install-iso", Line("none")),
            ("virtio-iso", Line("none")),
            ("network", Take(3)),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[audio]\nbackend = \"none\"\n\n[looking_glass]\nenable = false\n\n[passthrough]\n\
             guest_gpus = [\"10de:1e87\"]\n\n[vm.old]\nhugepages = \"2M\"\nkind = \"windows10\"\n\
             memory_mib = 6144\nvcpus = 3\n\n[vm.old.disk]\npath = \"/srv/there.qcow2\"\nsize_gib = 128\n\n\
             [vm.old.network]\nkind = \"user\"\n",
        ),
    },
    Case {
        name: "a machine on a bridge that this program makes stays on it",
        machine: TWO,
        before: ON_LAN,
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Yes),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("install-iso", Line("none")),
            ("network", Yes),
            ("bridge", Line("lan")),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.old]\n\
             kind = \"linux\"\nmemory_mib = 6144\nvcpus = 3\n\n[vm.old.disk]\npath = \"/srv/there.qcow2\"\n\
             size_gib = 128\n\n[vm.old.network]\nbridge = \"lan\"\nbridge_port = \"enp5s0\"\nkind = \"bridge\"\n",
        ),
    },
    Case {
        name: "on another bridge, that is there, its card is not asked for and goes",
        machine: TWO,
        before: ON_LAN,
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Yes),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("install-iso", Line("none")),
            ("network", Yes),
            ("bridge", Line("virbr7")),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.old]\n\
             kind = \"linux\"\nmemory_mib = 6144\nvcpus = 3\n\n[vm.old.disk]\npath = \"/srv/there.qcow2\"\n\
             size_gib = 128\n\n[vm.old.network]\nbridge = \"virbr7\"\nkind = \"bridge\"\n",
        ),
    },
    Case {
        name: "devices beside the card, marked and unmarked",
        machine: TWO,
        before: "[vm.old]\nkind = \"linux\"\nmemory_mib = 6144\nvcpus = 3\ndisk = { path = \"/srv/there.qcow2\" }\n",
        said: &[
            BEGIN[0],
            BEGIN[1],
            BEGIN[2],
            ("looking-glass", Take(1)),
            ("machine", Yes),
            ("name", Yes),
            ("memory", Yes),
            ("processors", Yes),
            ("disk", Yes),
            ("install-iso", Line("none")),
            ("network", Yes),
            ("devices", Take(0)),
            ("devices", Take(0)),
            ("devices", Back),
            ("network", Yes),
            ("devices", Take(0)),
            ("devices", Yes),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.old]\n\
             kind = \"linux\"\nmemory_mib = 6144\nusb_controllers = [\"0000:00:14.0\"]\nvcpus = 3\n\n[vm.old.disk]\n\
             path = \"/srv/there.qcow2\"\nsize_gib = 128\n",
        ),
    },
    Case {
        name: "none now, and the machine that the answers have stays",
        machine: TWO,
        before: "[vm.old]\nkind = \"linux\"\n",
        said: &[BEGIN[0], BEGIN[1], BEGIN[2], ("looking-glass", Take(1)), ("machine", Take(4))],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:1e87\"]\n\n[vm.old]\n\
             kind = \"linux\"\n",
        ),
    },
    Case {
        name: "of two that stay, another one is for this computer",
        machine: THREE,
        before: "",
        said: &[
            ("begin", Yes),
            ("card", Take(1)),
            ("host", Take(1)),
            ("start", Back),
            ("host", Yes),
            ("start", Yes),
            ("looking-glass", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"10de:13c2\"]\n\
             host_gpu = \"1002:67df\"\n",
        ),
    },
    Case {
        name: "the one that was to stay goes, and what is proposed stays",
        machine: THREE,
        before: "[passthrough]\nhost_gpu = \"1002:67df\"\n",
        said: &[
            ("begin", Yes),
            ("card", Take(1)),
            ("host", Yes),
            ("start", Back),
            ("host", Back),
            ("card", Take(0)),
            ("host", Take(0)),
            ("start", Yes),
            ("looking-glass", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With("[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"1002:67df\"]\n"),
    },
    Case {
        name: "all that this computer can do without: nothing is left to choose",
        machine: THREE,
        before: "",
        said: &[
            ("begin", Yes),
            ("card", Take(2)),
            ("start", Yes),
            ("looking-glass", Yes),
            ("resolution", Take(3)),
            ("hdr", Yes),
            ("users", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With(
            "[looking_glass]\nresolution = \"3840x2160\"\n\n[passthrough]\nguest_gpus = \"all\"\n",
        ),
    },
    Case {
        name: "of two that are equally good, the one that need not stay is proposed",
        machine: "x99-6850k-r9-390-hd6950-thunderbolt",
        before: "",
        said: &[
            ("begin", Yes),
            ("card", Yes),
            ("start", Yes),
            ("looking-glass", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With("[looking_glass]\nenable = false\n\n[passthrough]\nguest_gpus = [\"1002:6719\"]\n"),
    },
    Case {
        name: "no card of three",
        machine: THREE,
        before: "",
        said: &[("begin", Yes), ("card", Take(3))],
        ends: Ends::With("[passthrough]\nmode = \"off\"\n"),
    },
    Case {
        name: "the card that is part of the processor",
        machine: TWO,
        before: "",
        said: &[
            ("begin", Yes),
            ("card", Take(0)),
            ("doubt", Take(1)),
            ("start", Yes),
            ("looking-glass", Yes),
            ("resolution", Take(2)),
            ("hdr", Yes),
            ("users", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With(
            "[looking_glass]\nresolution = \"3440x1440\"\n\n[passthrough]\nallow = [\"guest-is-boot-vga\"]\n\
             guest_gpus = [\"8086:3e92\"]\n",
        ),
    },
    Case {
        name: "a doubt leads back to the choice, or is set aside by its name",
        machine: "made-dgpu-is-boot-vga",
        before: "",
        said: &[
            ("begin", Yes),
            ("card", Take(1)),
            ("doubt", Take(0)),
            ("card", Take(1)),
            ("doubt", Take(1)),
            ("start", Yes),
            ("looking-glass", Take(1)),
            ("machine", Take(3)),
        ],
        ends: Ends::With(
            "[looking_glass]\nenable = false\n\n[passthrough]\nallow = [\"guest-is-boot-vga\"]\n\
             guest_gpus = [\"10de:1b81\"]\n",
        ),
    },
];

/// A machine on a bridge that was made for it.
const ON_LAN: &str = "[vm.old]\nkind = \"linux\"\nmemory_mib = 6144\nvcpus = 3\ndisk = { path = \"/srv/there.qcow2\" }\n\
                      network = { kind = \"bridge\", bridge = \"lan\", bridge_port = \"enp5s0\" }\n";

fn furnished(machine: &str) -> Ground {
    let ground = Ground::new(machine, "arch-grub").unwrap();
    let target = ground.target();
    fs::write(
        target.join("etc/passwd"),
        "root:x:0:0::/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\n",
    )
    .unwrap();
    for path in
        ["home/ada/Downloads/Win11_24H2.iso", "var/lib/libvirt/images/virtio-win.iso", "srv/there.qcow2"]
    {
        neuron_tests::write(&target.join(path), "").unwrap();
    }
    let machine = ground.machine();
    neuron_tests::machine::in_use::default_route(&machine, &["enp5s0"]).unwrap();
    for (file, text) in [("address", "52:54:00:11:22:33\n"), ("type", "1\n"), ("device/vendor", "0x8086\n")] {
        neuron_tests::write(&machine.join("sys/class/net/enp5s0").join(file), text).unwrap();
    }
    for bridge in ["lan", "virbr7"] {
        neuron_tests::write(&machine.join("sys/class/net").join(bridge).join("bridge/bridge_id"), "x\n")
            .unwrap();
    }
    ground
}

/// What was asked, and which options were taken of how many.
#[derive(Default)]
struct Asked {
    ids: BTreeSet<&'static str>,
    options: BTreeMap<&'static str, (usize, BTreeSet<usize>)>,
}

impl Asked {
    fn note(&mut self, id: &'static str, question: &Question, answer: &Answer) {
        self.ids.insert(id);
        if let (Kind::Choice { options, .. }, Answer::Choice(index)) = (&question.kind, answer) {
            let (of, taken) = self.options.entry(id).or_default();
            *of = (*of).max(options.len());
            taken.insert(*index);
        }
    }
}

/// What a person sees fits a console of 80 columns, and proposes something that is there.
fn assert_readable(case: &Case, question: &Question) {
    let about = format!("{}: {}", case.name, question.prompt);
    assert!(question.prompt.len() <= 76, "{about}");
    for part in &question.text {
        let (text, ends) = match part {
            Part::Text(text) => (text, text.ends_with(['.', ':'])),
            Part::Item(text) => (text, true),
        };
        assert!(ends && !text.trim().is_empty() && !text.contains("  "), "{about}: {text}");
    }
    if let Kind::Choice { options, proposed } = &question.kind {
        assert!(*proposed < options.len(), "{about}: {proposed} of {options:?}");
        assert!(
            options.iter().all(|option| !option.is_empty() && option.chars().count() <= 76),
            "{about}: {options:?}"
        );
    }
}

fn play(case: &Case, asked: &mut Asked) {
    let ground = furnished(case.machine);
    let [machine, target] = [ground.machine(), ground.target()].map(|path| Root::directory(&path).unwrap());
    let seen = Seen::read(&machine, &target, &machine, &Answers::default()).unwrap();
    let mut dialogue = Dialogue::new(&seen, Answers::parse(case.before).unwrap());
    let mut is_away = false;
    for (number, (id, say)) in case.said.iter().enumerate() {
        let about = format!("{}, number {number}", case.name);
        let (_, step) = pages::step(dialogue.at).unwrap_or_else(|| panic!("{about}: `{id}` is not asked"));
        assert_eq!(step.id, *id, "{about}");
        let (_, question) = dialogue.question().unwrap();
        assert_readable(case, &question);
        let answer = match (say, &question.kind) {
            (Yes, Kind::Choice { proposed, .. }) => Answer::Choice(*proposed),
            (Yes, Kind::Line { proposed }) => Answer::Line(proposed.clone()),
            (Take(index), Kind::Choice { options, .. }) => {
                assert!(*index < options.len(), "{about}: {options:?}");
                Answer::Choice(*index)
            }
            (Line(text) | Wrong(text, _), Kind::Line { .. }) => Answer::Line((*text).to_owned()),
            (Back, _) => {
                assert!(dialogue.back(), "{about}");
                continue;
            }
            (say, kind) => panic!("{about}: {say:?} to {kind:?}"),
        };
        asked.note(step.id, &question, &answer);
        match (dialogue.answer(&answer), say) {
            (Next::On, Wrong(..)) => panic!("{about}: it is taken"),
            (Next::On, _) => {}
            (Next::Again(why), Wrong(_, part)) => assert!(why.contains(part), "{about}: {why}"),
            (Next::Again(why), _) => panic!("{about}: {why}"),
            (Next::Leave, _) => is_away = true,
        }
    }
    match case.ends {
        Ends::Away => assert!(is_away, "{}", case.name),
        Ends::With(expected) => {
            assert!(!is_away && dialogue.question().is_none(), "{}: it is not over", case.name);
            let text = dialogue.draft().answers.render().unwrap();
            let (_, kept) = text.split_once("schema = 1\n").unwrap();
            assert_eq!(kept.trim_start(), expected, "{}", case.name);
        }
    }
}

#[test]
fn the_table() {
    let mut asked = Asked::default();
    for case in CASES {
        play(case, &mut asked);
    }
    // No question and no option of one is missing in it.
    let all: BTreeSet<&str> = (0..).map_while(pages::step).map(|(_, step)| step.id).collect();
    assert_eq!(asked.ids, all);
    for (id, (of, taken)) in asked.options {
        let missing: Vec<usize> = (0..of).filter(|index| !taken.contains(index)).collect();
        assert!(missing.is_empty(), "{id}: nobody takes {missing:?} of {of}");
    }
}
