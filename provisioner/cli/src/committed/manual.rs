//! Man pages and completions, made from the command line's own description.

use std::collections::BTreeMap;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{assert_in_step, docs};
use crate::args::Args;

const NAME: &str = "neuron-provisioner";

/// The day of this version's pages: a page that changed with every build could not be compared.
const DATE: &str = "2026-11-20";

/// The page of the program and one for every verb, and for every verb of that.
fn pages() -> BTreeMap<String, String> {
    fn below(command: &Command, name: &str, pages: &mut BTreeMap<String, String>) {
        pages.insert(format!("{name}.1"), page(command.clone(), name));
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
        for verb in shown {
            below(verb, &format!("{name}-{}", verb.get_name()), pages);
        }
    }
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = BTreeMap::new();
    below(&command, NAME, &mut pages);
    pages
}

fn page(command: Command, name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.display_name(name))
        .title(name.to_uppercase())
        .date(DATE)
        .source(format!("{NAME} {version}"))
        .manual("NeuronOS");
    let mut bytes = Vec::new();
    man.render(&mut bytes).unwrap();
    polished(&String::from_utf8(bytes).unwrap())
}

/// What the generator leaves to be wished for: an empty line beside `.br` (mandoc warns), and a
/// list of exit codes that is set as a paragraph below a heading that says nothing.
fn polished(page: &str) -> String {
    let page = page.replace("\n.br\n\n.br\n", "\n.sp\n");
    match page.split_once(".SH EXTRA\nExit codes:\n") {
        Some((head, tail)) => {
            let (codes, rest) = tail.split_once(".SH").unwrap_or((tail, ""));
            format!("{head}.SH EXIT STATUS\n.nf\n{codes}.fi\n{SEE_ALSO}.SH{rest}")
        }
        None => page,
    }
}

const SEE_ALSO: &str = ".SH SEE ALSO\n.BR provisioner.toml (5)\n";

/// The program as people see it: nobody is offered a verb that is not for people.
fn for_people() -> Command {
    let whole = Args::command();
    let shown = whole.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(whole.get_arguments().cloned())
        .subcommands(shown)
}

fn completion(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut for_people(), NAME, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn man_pages_are_in_step() {
    assert_in_step("man", &pages(), |name| name.ends_with(".1"));
}

#[test]
fn completions_offer_what_is_for_people_only() {
    for (shell, before, behind) in
        [(Shell::Bash, "neuron__provisioner,", ")"), (Shell::Zsh, "'", ":"), (Shell::Fish, "-a \"", "\"")]
    {
        let text = completion(shell);
        for verb in Args::command().get_subcommands() {
            let is_offered = text.contains(&format!("{before}{}{behind}", verb.get_name()));
            assert_eq!(is_offered, !verb.is_hide_set(), "{shell}: {}", verb.get_name());
        }
    }
}

#[test]
fn completions_are_in_step() {
    let files = BTreeMap::from([
        (format!("{NAME}.bash"), completion(Shell::Bash)),
        (format!("_{NAME}"), completion(Shell::Zsh)),
        (format!("{NAME}.fish"), completion(Shell::Fish)),
    ]);
    assert_in_step("completions", &files, |_| true);
}

/// Every key of the answers, as `table.key`; a table of any name is `*`.
fn keys() -> Vec<(String, String)> {
    fn table(root: &serde_json::Value, of: &serde_json::Value, at: &str, keys: &mut Vec<(String, String)>) {
        let Some(fields) = of["properties"].as_object() else { return };
        for (name, field) in fields {
            keys.push((at.to_owned(), name.clone()));
            let nested = [field, &field["additionalProperties"]]
                .into_iter()
                .flat_map(|one| [one.clone(), one["anyOf"][0].clone()])
                .find_map(|one| one["$ref"].as_str().map(|to| to.trim_start_matches('#').to_owned()));
            if let Some(to) = nested.and_then(|to| root.pointer(&to)) {
                table(root, to, name, keys);
            }
        }
    }
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(docs("schema/provisioner.toml-1.json")).unwrap())
            .unwrap();
    let mut keys = Vec::new();
    table(&schema, &schema, "", &mut keys);
    keys
}

/// Every value that a key of words can have.
fn words() -> Vec<String> {
    fn collect(value: &serde_json::Value, words: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                let named = fields.get("const").into_iter();
                let listed = fields.get("enum").and_then(|all| all.as_array()).into_iter().flatten();
                words.extend(named.chain(listed).filter_map(|word| word.as_str().map(str::to_owned)));
                fields.values().for_each(|field| collect(field, words));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, words)),
            _ => {}
        }
    }
    let schema = std::fs::read_to_string(docs("schema/provisioner.toml-1.json")).unwrap();
    let mut words = Vec::new();
    collect(&serde_json::from_str(&schema).unwrap(), &mut words);
    words
}

#[test]
fn the_page_of_the_answers_explains_every_key_and_every_word() {
    let page = std::fs::read_to_string(docs("man/provisioner.toml.5")).unwrap().replace("\\-", "-");
    let keys = keys();
    assert!(keys.len() > 45, "{keys:?}");
    assert!(keys.contains(&("network".to_owned(), "macvtap_mode".to_owned())), "{keys:?}");
    assert!(keys.contains(&("disk".to_owned(), "size_gib".to_owned())), "{keys:?}");
    for (table, key) in &keys {
        let tables = ["passthrough", "looking_glass", "vm", "audio", "vgpu", "network", "disk"];
        if !tables.contains(&key.as_str()) {
            assert!(page.contains(&format!("\n.B {key}\n")), "the page does not explain {table}.{key}");
        }
    }
    for word in words() {
        assert!(page.contains(&word), "the page does not mention `{word}`");
    }
    assert!(!page.contains("\n.B no_such_key\n"));
}

#[test]
fn the_example_of_the_page_is_valid() {
    let page = std::fs::read_to_string(docs("man/provisioner.toml.5")).unwrap();
    let (_, example) = page.split_once(".SH EXAMPLES").unwrap();
    let (_, example) = example.split_once(".RS\n").unwrap();
    let (example, _) = example.split_once(".RE\n").unwrap();
    let answers = neuron_passthrough::answers::Answers::parse(example).unwrap();
    assert_eq!(answers.passthrough.extra_parameters.len(), 1);
}

/// What the readers of man pages themselves say, where they are installed.
#[test]
fn no_reader_of_man_pages_complains() {
    let lint = |program: &str, options: &[&str], page: &std::path::Path| {
        let run = std::process::Command::new(program).args(options).arg(page).output();
        run.ok().map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let bad = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bad.path(), ".SH WITHOUT A TITLE\n.no-such-macro\n").unwrap();
    // -Z: troff's own output is not wanted, only what it says on the way.
    let groff: &[&str] = &["-man", "-ww", "-Z", "-Tutf8"];
    let only_words =
        |text: String| text.lines().filter(|line| line.contains("warning") || line.contains("error")).count();
    if lint("groff", groff, bad.path()).is_none_or(|text| only_words(text) == 0) {
        eprintln!("NOT CHECKED: groff is not installed, or does not warn");
        return;
    }
    for entry in std::fs::read_dir(docs("man")).unwrap() {
        let page = entry.unwrap().path();
        assert_eq!(only_words(lint("groff", groff, &page).unwrap()), 0, "{}", page.display());
    }
}
