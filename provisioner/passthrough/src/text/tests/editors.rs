//! What every editor of a text promises, asked of each in the same words: what is not ours stays as it is, a
//! second time changes nothing, and taken back nothing is left. A function that edits and is not in the list
//! makes a test fail.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;

use super::limine_conf::Format;
use super::{
    TextError, block, command_line, grub_default, kernel_cmdline, limine_conf, loader_conf, loader_entry,
    qemu_conf, refind, sdboot_manage,
};

type Edited = Result<String, TextError>;

/// One way to edit a text, and how it is taken back.
struct Editor {
    /// The functions of this module that it uses.
    functions: &'static [&'static str],
    /// The texts that it is tried on.
    texts: &'static str,
    set: fn(&str) -> Edited,
    /// The edited text, and the one from before.
    unset: fn(&str, &str) -> Edited,
    /// Whether a line may be another one afterwards.
    edits: fn(&str) -> bool,
}

fn ours() -> Vec<String> {
    vec!["neuron.one=1".to_owned(), "neuron.two".to_owned()]
}

const WAY_BACK: refind::WayBack<'_> = refind::WayBack { label: "ours", line: "root=ours", starts: &[] };

/// The way back behind the first command line of the text.
fn with_way_back(text: &str, format: refind::Format) -> String {
    let base = block::remove_block(text);
    match refind::options(&base, format).first() {
        Some(first) => refind::with_way_back(&base, format, first, WAY_BACK, false),
        None => base.clone(),
    }
}

const LINES: &str = "([a-z =#]{0,6}(\r?\n)){0,4}[a-z]{0,4}";
const SHELL: &str = "((LINUX_OPTIONS|GRUB_CMDLINE_LINUX_DEFAULT|GRUB_DEFAULT|PRESERVE_FOREIGN|DEFAULT_ENTRY|A)=(\"[a-c ]{0,5}\"|'[a-c ]{0,5}'|[a-c]{0,3})( # [a-c]{1,2})?\n|#[a-c =]{0,4}\n|\n){0,6}(A=[a-c]?)?";
const LIMINE: &str = "(timeout: 3\n)?([ \t]{0,2}(/[a-c]|cmdline: ?[a-c]( root=UUID=[12])?|#[a-c: ]{0,5}|[a-c]{1,4}: x)\r?\n){0,9}(/d)?";
const REFIND_LINUX: &str = "((\"[a-c ]{0,4}\"|[a-c]{1,3})[ \t]{1,2}\"[a-c]?( root=UUID=[12])?( [a-c]{1,2})?\"( [a-c]{1,3})?( ?#[a-c\" ]{0,4})?\r?\n|#[a-c\"= ]{0,6}\n|\n){0,6}";
const REFIND_STANZAS: &str = "(timeout 2\n)?(menuentry [a-c] \\{\n( ?loader /[a-c]\n)?( ?options \"[a-c]?( root=UUID=[12])?\"\n)?( submenuentry [a-c] \\{\n  add_options \"[a-c]\"\n \\}\n)?\\}\n|#[a-c]{0,3}\n){0,4}";

const EDITORS: &[Editor] = &[
    Editor {
        functions: &["block::append_block", "block::remove_block"],
        texts: LINES,
        set: |text| Ok(block::append_block(text, "ours")),
        unset: |text, _| Ok(block::remove_block(text)),
        edits: |_| false,
    },
    Editor {
        functions: &["block::insert_block", "block::remove_block"],
        texts: LINES,
        set: |text| Ok(block::insert_block(&block::remove_block(text), 0, "ours")),
        unset: |text, _| Ok(block::remove_block(text)),
        edits: |_| false,
    },
    Editor {
        functions: &["command_line::set", "command_line::remove"],
        texts: "[ \t]{0,2}([a-c]{1,3}(=[a-c,\" ]{0,3}\")?[ \t]{1,2}){0,4}([a-c]{1,3})?",
        set: |text| Ok(command_line::set(text, &ours())),
        unset: |text, _| Ok(command_line::remove(text, &ours())),
        edits: |_| true,
    },
    Editor {
        functions: &["grub_default::set_parameters", "grub_default::remove_parameters"],
        texts: SHELL,
        set: |text| grub_default::set_parameters(text, &ours()),
        unset: |text, _| grub_default::remove_parameters(text, &ours()),
        edits: |line| line.contains("GRUB_CMDLINE_LINUX_DEFAULT"),
    },
    Editor {
        functions: &["grub_default::set_default_entry", "grub_default::unset_default_entry"],
        texts: SHELL,
        set: |text| grub_default::set_default_entry(text, "ours"),
        unset: |text, original| grub_default::unset_default_entry(text, original, "ours"),
        edits: |line| line.contains("GRUB_DEFAULT"),
    },
    Editor {
        functions: &["kernel_cmdline::set_parameters", "kernel_cmdline::remove_parameters"],
        texts: "(#?[a-c= \t]{0,6}\r?\n){0,4}root=1( [a-c])?\n?(#[a-c ]{0,3})?",
        set: |text| kernel_cmdline::set_parameters(text, &ours()),
        unset: |text, _| Ok(kernel_cmdline::remove_parameters(text, &ours())),
        edits: |line| !line.starts_with('#'),
    },
    Editor {
        functions: &["limine_conf::set_parameters", "limine_conf::remove_parameters"],
        texts: LIMINE,
        set: |text| limine_conf::set_parameters(text, Format::Conf, &ours(), |_| true),
        unset: |text, _| Ok(limine_conf::remove_parameters(text, Format::Conf, &ours(), |_| true)),
        edits: |line| line.contains("cmdline"),
    },
    Editor {
        functions: &["limine_conf::set_parameters", "limine_conf::remove_added"],
        texts: LIMINE,
        set: |text| limine_conf::set_parameters(text, Format::Conf, &ours(), |_| true),
        unset: |text, original| Ok(limine_conf::remove_added(text, original, Format::Conf, &ours())),
        edits: |line| line.contains("cmdline"),
    },
    Editor {
        functions: &["loader_conf::set_default", "loader_conf::unset_default"],
        texts: "((default|timeout|#default|editor)[ \t][a-c*]{1,3}(\r?\n)){0,4}(default x)?",
        set: |text| Ok(loader_conf::set_default(text, "ours.conf")),
        unset: |text, original| Ok(loader_conf::unset_default(text, original, "ours.conf")),
        edits: |line| line.starts_with("default"),
    },
    Editor {
        functions: &["loader_entry::set_parameters", "loader_entry::remove_parameters"],
        texts: "((options|title|#options|x)[ \t]{1,2}[a-c=]{0,3}( [a-c]){0,2}\r?\n){0,5}linux /v\n?",
        set: |text| loader_entry::set_parameters(text, &ours()),
        unset: |text, _| Ok(loader_entry::remove_parameters(text, &ours())),
        edits: |line| line.starts_with("options"),
    },
    Editor {
        functions: &["qemu_conf::allow", "qemu_conf::disallow"],
        texts: "(#[a-c ]{0,3}\n|user = \"[a-c]{1,3}\"\n|\n){0,4}(cgroup_device_acl = \\[\n    \"/dev/[a-c]\",\n    \"/dev/[a-c]\"\n\\]\n)?(#[a-c]\n)?",
        set: |text| qemu_conf::allow(text, &["/dev/kvmfr0"]),
        unset: |text, _| qemu_conf::disallow(text, &["/dev/kvmfr0"]),
        edits: |line| line.contains("/dev/") || line.contains("cgroup_device_acl") || line == "]",
    },
    Editor {
        functions: &["refind::set_parameters", "refind::remove_parameters"],
        texts: REFIND_LINUX,
        set: |text| refind::set_parameters(text, refind::Format::Linux, &ours(), |_| true),
        unset: |text, _| Ok(refind::remove_parameters(text, refind::Format::Linux, &ours(), |_| true)),
        edits: |line| line.matches('"').count() > 1 && !line.starts_with('#'),
    },
    Editor {
        functions: &["refind::set_parameters", "refind::remove_added"],
        texts: REFIND_STANZAS,
        set: |text| refind::set_parameters(text, refind::Format::Stanzas, &ours(), |_| true),
        unset: |text, original| Ok(refind::remove_added(text, original, refind::Format::Stanzas, &ours())),
        edits: |line| line.contains("options"),
    },
    Editor {
        functions: &["refind::with_way_back", "block::remove_block"],
        texts: REFIND_LINUX,
        set: |text| Ok(with_way_back(text, refind::Format::Linux)),
        unset: |text, _| Ok(block::remove_block(text)),
        edits: |_| false,
    },
    Editor {
        functions: &["refind::with_way_back", "block::remove_block"],
        texts: REFIND_STANZAS,
        set: |text| Ok(with_way_back(text, refind::Format::Stanzas)),
        unset: |text, _| Ok(block::remove_block(text)),
        edits: |_| false,
    },
    Editor {
        functions: &["sdboot_manage::set_parameters", "sdboot_manage::remove_parameters"],
        texts: SHELL,
        set: |text| sdboot_manage::set_parameters(text, &ours()),
        unset: |text, _| sdboot_manage::remove_parameters(text, &ours()),
        edits: |line| line.contains("LINUX_OPTIONS"),
    },
    Editor {
        functions: &["sdboot_manage::keep_foreign", "sdboot_manage::unkeep_foreign"],
        texts: SHELL,
        set: |text| sdboot_manage::keep_foreign(text, true),
        unset: sdboot_manage::unkeep_foreign,
        edits: |line| line.contains("PRESERVE_FOREIGN") || line.contains("DEFAULT_ENTRY"),
    },
];

/// Functions that take a text and give one, and edit none of a file's; each with the reason.
const NO_EDITORS: [&str; 3] = [
    // They read.
    "accounts::name_of",
    "kernel_cmdline::command_line",
    // A step of `HostEntry::line`, which has a property of its own.
    "command_line::replace",
];

/// What of an editor does not hold for a text.
fn fault(editor: &Editor, text: &str) -> Result<Option<&'static str>, TextError> {
    let after = (editor.set)(text)?;
    if (editor.set)(&after)? != after {
        return Ok(Some("a second time changes something"));
    }
    let mut lines = after.split('\n');
    let others = text.split('\n').filter(|line| !line.is_empty() && !(editor.edits)(line));
    // The last line may get the line end that it lacked.
    let same = |new: &str, old: &str| new.trim_end_matches('\r') == old.trim_end_matches('\r');
    if !others.into_iter().all(|line| lines.any(|new| same(new, line))) {
        return Ok(Some("what is not ours changed"));
    }
    let back = (editor.unset)(&after, text)?;
    Ok((back != text).then_some("taken back, something is left or missing"))
}

#[test]
fn every_editor_keeps_what_is_not_ours_and_leaves_nothing() {
    for editor in EDITORS {
        let (mut runner, names) = (TestRunner::default(), editor.functions);
        let mut edited = 0;
        let told = runner.run(&string_regex(editor.texts).unwrap(), |text| {
            // A text that no shell can read is refused by all of them alike.
            let found = fault(editor, &text).map_err(|error| TestCaseError::reject(error.to_string()))?;
            prop_assert!(
                found.is_none(),
                "{names:?}: {}: {text:?} gives {:?}",
                found.unwrap(),
                (editor.set)(&text)
            );
            Ok(())
        });
        assert!(told.is_ok(), "{}", told.unwrap_err());
        for _ in 0..20 {
            let text = string_regex(editor.texts).unwrap().new_tree(&mut runner).unwrap().current();
            edited += usize::from((editor.set)(&text).is_ok_and(|after| after != text));
        }
        assert!(edited > 0, "{names:?} edits none of its texts");
    }
}

/// The control: of editors that break a promise, each is found.
#[test]
fn an_editor_that_breaks_a_promise_is_found() {
    let fair = Editor { edits: |_| false, ..EDITORS[0] };
    assert_eq!(fault(&fair, "a\nb\n"), Ok(None));
    for (set, unset, wanted) in [
        ((|text| Ok(text.to_owned() + "x\n")) as fn(&str) -> Edited, fair.unset, "a second time"),
        (|_| Ok("x\n".to_owned()), fair.unset, "what is not ours"),
        (fair.set, |text, _| Ok(text.to_owned()), "taken back"),
    ] {
        let broken = Editor { set, unset, ..fair };
        let found = fault(&broken, "a\nb\n").unwrap().unwrap();
        assert!(found.starts_with(wanted), "{found}");
    }
}

/// What in the sources of this module takes a text first and gives a text, in public.
fn functions() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/text");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for rest in source.split("\npub fn ").skip(1) {
            let (head, _) = rest.split_once("{\n").unwrap();
            let (name, arguments) = head.split_once('(').unwrap();
            let gives = head.rsplit("->").next().unwrap().trim();
            let takes = arguments.trim_start();
            let is_text = takes.starts_with("text: &str") || takes.starts_with("line: &str");
            if is_text && (gives == "String" || gives.starts_with("Result<String")) {
                found.insert(format!("{}::{name}", path.file_stem().unwrap().to_str().unwrap()));
            }
        }
    }
    found
}

#[test]
fn every_editor_is_in_the_list() {
    let listed = EDITORS.iter().flat_map(|editor| editor.functions).chain(&NO_EDITORS);
    let listed: BTreeSet<String> = listed.map(|&name| name.to_owned()).collect();
    assert_eq!(functions(), listed, "what the sources have, and what is tried here");
}
