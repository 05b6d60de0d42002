//! From text to answers, with an error that says which line, what is wrong, and what would be right.

use std::sync::LazyLock;

use regex::Regex;

use super::{Answers, SCHEMA, VM_NAMES, Vm, form, is_vm_name};
use crate::text::command_line;

static RESOLUTION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$").ok());
/// What `useradd` takes; names go into files in which a blank or a colon would begin something else.
static USER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?$").ok());
static UNKNOWN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"unknown (?:field|variant) `([^`]*)`, expected (.*)").ok());

/// What would be right where the text is no TOML.
const TOML: &str = "write KEY = VALUE, text in double quotes, and tables as [NAME] in a line of their own";

/// A text that is no answers file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct InvalidAnswers {
    /// The line, counted from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong there, with the value.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Answers {
    /// Reads the text of an answers file. An empty text is valid: everything has a default.
    pub fn parse(text: &str) -> Result<Self, InvalidAnswers> {
        let line_at = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let table = toml::from_str::<toml::Table>(text).map_err(|error| InvalidAnswers {
            // What is no TOML at all has no keys or types that could be wrong.
            line: error.span().map(|span| line_at(span.start)),
            message: error.message().to_owned(),
            hint: Some(TOML.to_owned()),
        })?;
        if let Some((path, wrong)) = serde_json::to_value(table).ok().as_ref().and_then(form::wrong_type) {
            let line = form::begin_of(text, &path).map(line_at);
            return Err(InvalidAnswers { line, ..wrong.at(&path) });
        }
        let answers: Self = toml::from_str(text).map_err(|error| {
            let begin = error.span().map(|span| span.start);
            let path = begin.map(|begin| form::path_at(text, begin)).unwrap_or_default();
            InvalidAnswers::new(begin.map(line_at), error.message()).at(&path)
        })?;
        answers.checked(|keys| form::begin_of_key(text, keys).map(line_at))
    }

    /// Takes answers that another format holds (a Calamares configuration), as a JSON value.
    pub fn from_value(value: serde_json::Value) -> Result<Self, InvalidAnswers> {
        if let Some((path, wrong)) = form::wrong_type(&value) {
            return Err(wrong.at(&path));
        }
        let answers: Self =
            serde_json::from_value(value).map_err(|error| InvalidAnswers::new(None, &error.to_string()))?;
        answers.checked(|_| None)
    }

    /// The text of an answers file that holds only what differs from the defaults.
    pub fn render(&self) -> Result<String, InvalidAnswers> {
        let fail = |error: &dyn std::fmt::Display| InvalidAnswers::new(None, &error.to_string());
        let mut mine = toml::Value::try_from(self).map_err(|error| fail(&error))?;
        let plain = toml::Value::try_from(Self::default()).map_err(|error| fail(&error))?;
        drop_equal(&mut mine, &plain);
        // What a machine is made from is said, even where it is the usual.
        let vm = toml::Value::try_from(Vm::default()).map_err(|error| fail(&error))?;
        for machine in mine
            .get_mut("vm")
            .and_then(toml::Value::as_table_mut)
            .into_iter()
            .flat_map(toml::Table::iter_mut)
            .map(|(_, machine)| machine)
        {
            let kind = machine.get("kind").cloned();
            drop_equal(machine, &vm);
            if let (Some(table), Some(kind)) = (machine.as_table_mut(), kind) {
                table.insert("kind".to_owned(), kind);
            }
        }
        let mut text = format!("schema = {SCHEMA}\n");
        let rest = toml::to_string(&mine).map_err(|error| fail(&error))?;
        if !rest.is_empty() {
            text.push('\n');
            text.push_str(&rest);
        }
        Ok(text)
    }

    /// The rules that the types alone do not keep. `line_of` finds a key in the file, by the keys down to it.
    fn checked(self, line_of: impl Fn(&[&str]) -> Option<usize>) -> Result<Self, InvalidAnswers> {
        let wrong = |keys: &[&str], message: String, hint: &str| {
            Err(InvalidAnswers { line: line_of(keys), message, hint: Some(hint.to_owned()) })
        };
        if self.schema != SCHEMA {
            let message = format!("`schema`: schema {} is not known", self.schema);
            return wrong(&["schema"], message, "this program reads schema = 1");
        }
        if let Err(error) = command_line::check(&self.passthrough.extra_parameters) {
            let message = format!("`extra_parameters`: {error}");
            let keys = ["passthrough", "extra_parameters"];
            return wrong(&keys, message, "write each parameter as its own string");
        }
        let resolution = &self.looking_glass.resolution;
        if !RESOLUTION.as_ref().is_some_and(|form| form.is_match(resolution)) {
            let message = format!("`resolution`: `{resolution}` is not WIDTHxHEIGHT");
            return wrong(&["looking_glass", "resolution"], message, "write it like \"2560x1440\"");
        }
        let size = self.looking_glass.size_mib;
        if size > 0 && !size.is_power_of_two() {
            let message = format!("size_mib = {size}: the size must be a power of two");
            let hint = "leave size_mib = 0, or use a power of two like 64";
            return wrong(&["looking_glass", "size_mib"], message, hint);
        }
        let is_name = |name: &String| USER.as_ref().is_some_and(|form| form.is_match(name)) && name != "root";
        if let Some(user) = self.looking_glass.users.iter().find(|name| !is_name(name)) {
            let message = format!("users: `{}` is no ordinary user's name", user.escape_debug());
            let hint = "name those who sit at this machine, like [\"vera\"]; the client does not run as root";
            return wrong(&["looking_glass", "users"], message, hint);
        }
        if let Some(name) = self.vm.keys().find(|name| !is_vm_name(name)) {
            let message = format!("`vm`: `{}` cannot be the name of a virtual machine", name.escape_debug());
            return wrong(&["vm", name], message, VM_NAMES);
        }
        Ok(self)
    }
}

/// Removes from `mine` what is equal in `plain`, and tables that are empty then.
fn drop_equal(mine: &mut toml::Value, plain: &toml::Value) {
    let (toml::Value::Table(mine), toml::Value::Table(plain)) = (mine, plain) else { return };
    mine.retain(|key, value| match plain.get(key) {
        Some(default) if default == value => false,
        Some(default) => {
            drop_equal(value, default);
            true
        }
        None => true,
    });
}

impl InvalidAnswers {
    /// An error of a parser; turns serde's list of known keys into a suggestion.
    fn new(line: Option<usize>, message: &str) -> Self {
        let hint = UNKNOWN.as_ref().and_then(|form| form.captures(message)).map(|found| {
            let known: Vec<&str> = found[2].split('`').skip(1).step_by(2).collect();
            let table = if known.contains(&"passthrough") { table_of(&found[1]) } else { None };
            match (table, nearest(&found[1], &known)) {
                (Some(table), _) => format!("write it below [{table}]"),
                (None, Some(near)) => format!("did you mean `{near}`?"),
                (None, None) => format!("known here: {}", known.join(", ")),
            }
        });
        Self { line, message: message.trim_end().to_owned(), hint }
    }

    /// The same with the key that it is about, and what would be right there, where that is not said.
    fn at(self, path: &[String]) -> Self {
        let Some(key) = form::key(path) else { return self };
        let named = format!("`{key}`");
        let message =
            if self.message.contains(&named) { self.message } else { format!("{named}: {}", self.message) };
        Self { message, hint: self.hint.or_else(|| form::right_at(path)), ..self }
    }
}

/// The table that a key belongs to which stands above all of them.
fn table_of(key: &str) -> Option<String> {
    let tables = serde_json::to_value(Answers::default()).ok()?;
    let vm = serde_json::to_value(Vm::default()).ok()?;
    let mut tables = tables.as_object()?.iter();
    match tables.find(|(_, table)| table.get(key).is_some()) {
        Some((name, _)) => Some(name.clone()),
        None => vm.get(key).map(|_| "vm.NAME".to_owned()),
    }
}

/// The name out of `known` that somebody probably meant.
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|name| (strsim::jaro_winkler(given, name), *name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::{Gpus, Mode, Override};

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(Answers::parse("").unwrap(), Answers::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_what_would_be_right() {
        for (text, line, message, hint) in [
            ("[passthrough]\nmod = \"off\"\n", 2, "unknown field `mod`", "did you mean `mode`?"),
            (
                "[passthrough]\nallow = [\"only-gpus\"]\n",
                2,
                "unknown variant `only-gpus`",
                "did you mean `only-gpu`?",
            ),
            ("schema = 2\n", 1, "schema 2", "schema = 1"),
            ("[passthrough]\nguest_gpus = [\"0000:01:20.0\"]\n", 2, "0000:01:20.0", ""),
            ("[passthrough]\nguest_gpus = []\n", 2, "empty list", ""),
            ("[passthrough]\ntrial = \"yes\"\n", 2, "expected a boolean", "true or false"),
            ("mode = \"off\"\n", 1, "unknown field `mode`", "below [passthrough]"),
            ("disk = 1\n", 1, "unknown field `disk`", "below [vm.NAME]"),
            ("modes = 1\n", 1, "unknown field `modes`", "known here: "),
            ("[passthrough]\nextra_parameters = \"quiet\"\n", 2, "expected a sequence", "a list"),
            ("[vm.a]\nvcpus = \"4\"\n", 2, "expected u32", "a whole number"),
            ("[vm.a]\nrom_file = 4\n", 2, "expected a string", "double quotes"),
            ("passthrough = 4\n", 1, "expected a table", "[NAME]"),
            ("passthrough = []\n", 1, "expected a table", "[NAME]"),
            (
                "[passthrough]\nallow = [\n  \"only-gpu\",\n  1,\n]\n",
                4,
                "`allow`: invalid type",
                "\"only-gpu\"",
            ),
            ("[vm.a]\ndisk = [\"/a\"]\n", 2, "`disk`: invalid type: sequence", "{path = \"...\"}"),
            ("[vm.a]\ncpu_pinning = [1]\n", 2, "`cpu_pinning`", "{first = 4}"),
            ("[passthrough]\n\nextra_parameters = [\"a b\"]\n", 3, "`a b`", "own string"),
            ("[looking_glass]\nresolution = \"big\"\n", 2, "`big`", "2560x1440"),
            ("[looking_glass]\nsize_mib = 100\n", 2, "power of two", "like 64"),
            ("[looking_glass]\n\nusers = [\"vera\", \"a b\"]\n", 3, "`a b`", "[\"vera\"]"),
            ("[looking_glass]\nusers = [\"vera kvm -\\nf+ /etc/passwd\"]\n", 2, "`vera kvm", ""),
            ("[looking_glass]\nusers = [\"root\"]\n", 2, "`root`", "as root"),
            ("[looking_glass]\nusers = [\"\"]\n", 2, "``", ""),
            ("[vm.a]\n\n[vm.\"a b\"]\n", 3, "`vm`: `a b` cannot be the name", "at most 50 letters"),
            ("# vm.7\n[vm.7.network]\nkind = \"nat\"\n", 2, "`7`", "no number alone"),
            ("vm.a.vcpus = 2\nvm.\"a\\nb\".vcpus = 2\n", 2, "`a\\nb`", ""),
            ("# resolution\n[looking_glass]\nresolution = \"big\"\n", 3, "`big`", ""),
            ("[passthrough\n", 1, "", "KEY = VALUE"),
        ] {
            let error = Answers::parse(text).unwrap_err();
            assert_eq!(error.line, Some(line), "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
            assert!(error.hint.clone().unwrap_or_default().contains(hint), "{text}: {error:?}");
        }
    }

    #[test]
    fn what_is_rendered_reads_back_the_same_and_holds_no_defaults() {
        let mut answers = Answers::default();
        assert_eq!(answers.render().unwrap(), "schema = 1\n");
        answers.passthrough.guest_gpus = Gpus::Named(vec!["0000:01:00.0".parse().unwrap()]);
        answers.passthrough.mode = Mode::AtBoot;
        answers.passthrough.allow = vec![Override::GuestIsBootVga];
        answers.vm.insert("windows11".to_owned(), crate::answers::Vm::default());
        let text = answers.render().unwrap();
        assert!(!text.contains("looking_glass"), "{text}");
        assert!(text.ends_with("[vm.windows11]\nkind = \"windows11\"\n"), "{text}");
        assert_eq!(Answers::parse(&text).unwrap(), answers);
    }

    #[test]
    fn the_documented_example_is_valid() {
        let text = include_str!("../../tests/answers-full.toml");
        let answers = Answers::parse(text).unwrap();
        assert_eq!(answers.vm["windows11"].disk.as_ref().unwrap().size_gib, 128);
    }
}
