//! Answers that change in a text that somebody keeps: comments, order and blank lines stay.

use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::{Answers, InvalidAnswers, Vm};

impl Answers {
    /// The text of an answers file with these answers instead of its own. What is the same already is
    /// not touched; a key that gets its default goes.
    pub fn amend(&self, text: &str) -> Result<String, InvalidAnswers> {
        let before = Self::parse(text)?;
        if before == *self {
            return Ok(text.to_owned());
        }
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            InvalidAnswers { line: None, message: error.message().to_owned(), hint: None }
        })?;
        let (old, new) = (value(&before)?, value(self)?);
        let (default, vm) = (value(&Self::default())?, value(&Vm::default())?);
        amend_table(document.as_table_mut(), &old, &new, &default, &vm);
        let amended = document.to_string();
        // What cannot be said in this text is said in a new one.
        match Self::parse(&amended) {
            Ok(read) if read == *self => Ok(amended),
            _ => self.render(),
        }
    }
}

fn value(answers: &impl serde::Serialize) -> Result<toml::Table, InvalidAnswers> {
    toml::Table::try_from(answers).map_err(|error| InvalidAnswers {
        line: None,
        message: error.to_string(),
        hint: None,
    })
}

/// Carries what differs between `old` and `new` into a table. `vm` is what a virtual machine is
/// where nothing is said of it.
fn amend_table(
    table: &mut dyn TableLike,
    old: &toml::Table,
    new: &toml::Table,
    default: &toml::Table,
    vm: &toml::Table,
) {
    let gone: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    for key in gone {
        table.remove(key);
    }
    for (key, now) in new {
        let was = old.get(key);
        if was == Some(now) {
            continue;
        }
        let plain = default.get(key);
        if plain == Some(now) {
            table.remove(key);
            continue;
        }
        let toml::Value::Table(now) = now else {
            set(table, key, now);
            continue;
        };
        let nothing = toml::Table::new();
        let inner = table.entry(key).or_insert_with(|| Item::Table(implicit(key)));
        let Some(inner) = inner.as_table_like_mut() else {
            // A word stood there where a table has to be.
            set(table, key, &toml::Value::Table(now.clone()));
            continue;
        };
        let plain = match plain {
            Some(toml::Value::Table(plain)) => plain,
            // A virtual machine, whose name no default knows; any other table is said whole.
            _ if was.is_none() && now.contains_key("vcpus") => vm,
            _ => &nothing,
        };
        let was = was.and_then(toml::Value::as_table);
        let is_machine = now.contains_key("vcpus");
        let base = if is_machine { vm } else { plain };
        amend_table(inner, was.unwrap_or(if is_machine { vm } else { &nothing }), now, base, vm);
        if is_machine && was.is_none() {
            set(inner, "kind", &now["kind"]);
        }
    }
}

/// Tables of tables need no line of their own.
fn implicit(key: &str) -> Table {
    let mut table = Table::new();
    table.set_implicit(key == "vm");
    table
}

/// Sets a key; what is written behind its old value stays.
fn set(table: &mut dyn TableLike, key: &str, to: &toml::Value) {
    let Ok(mut to) = to.to_string().parse::<toml_edit::Value>() else { return };
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *to.decor_mut() = old.decor().clone();
    }
    match table.get_mut(key) {
        Some(item) => *item = Item::Value(to),
        None => {
            table.insert(key, Item::Value(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answers::{DefaultEntry, Disk, Mode, NetworkKind, VmKind};

    const KEPT: &str = "\
# mine
schema = 1

[passthrough]
mode = \"at-boot\"   # as the forum says
# the next one too
trial = true

[looking_glass]
resolution = \"1920x1080\"
";

    #[test]
    fn what_is_the_same_is_not_touched() {
        let mut answers = Answers::parse(KEPT).unwrap();
        assert_eq!(answers.amend(KEPT).unwrap(), KEPT);
        answers.passthrough.mode = Mode::Off;
        assert_eq!(answers.amend(KEPT).unwrap(), KEPT.replace("at-boot", "off"));
    }

    #[test]
    fn what_gets_its_default_goes_and_what_is_new_comes() {
        let mut answers = Answers::parse(KEPT).unwrap();
        answers.looking_glass.resolution = "2560x1440".to_owned();
        answers.passthrough.default_entry = DefaultEntry::Host;
        let text = answers.amend(KEPT).unwrap();
        assert!(text.contains("# mine") && text.contains("# as the forum says"), "{text}");
        assert!(!text.contains("1920x1080") && text.contains("default_entry = \"host\""), "{text}");
        assert_eq!(Answers::parse(&text).unwrap(), answers);
    }

    #[test]
    fn a_machine_comes_and_goes_as_a_table_that_says_what_is_special() {
        let mut answers = Answers::parse(KEPT).unwrap();
        let disk = Disk { path: "/d.qcow2".to_owned(), size_gib: 64 };
        let mut vm = Vm { kind: VmKind::Linux, vcpus: 4, disk: Some(disk), ..Vm::default() };
        vm.network.kind = NetworkKind::User;
        answers.vm.insert("box".to_owned(), vm);
        let text = answers.amend(KEPT).unwrap();
        assert!(text.starts_with(KEPT), "{text}");
        assert!(text.contains("[vm.box]\nkind = \"linux\"\n") && !text.contains("memory_mib"), "{text}");
        assert_eq!(Answers::parse(&text).unwrap(), answers);
        answers.vm.clear();
        assert_eq!(Answers::parse(&answers.amend(&text).unwrap()).unwrap(), answers);
    }

    proptest! {
        #[test]
        fn what_is_amended_reads_as_the_answers(
            trial: bool, host: bool, lg: bool, vms in proptest::collection::vec(("[a-z]{1,5}", 0u32..9, 0u64..3), 0..3),
            head in proptest::sample::select(vec!["", KEPT, "vm = {a = {vcpus = 2}}\n", "[vm.a]\ndisk = {path = \"/a\"} # x\n"]),
        ) {
            let mut answers = Answers::default();
            answers.passthrough.trial = trial;
            answers.looking_glass.enable = lg;
            if host { answers.passthrough.default_entry = DefaultEntry::Host; }
            for (name, vcpus, memory) in vms {
                answers.vm.insert(name, Vm { vcpus, memory_mib: memory * 1024, ..Vm::default() });
            }
            let text = answers.amend(head).unwrap();
            prop_assert_eq!(Answers::parse(&text).unwrap(), answers);
        }
    }
}
