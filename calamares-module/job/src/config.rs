//! The module's configuration, as Calamares hands it over.
//!
//! It comes from YAML by way of Calamares' own conversion, which knows no quotes: `"1002"` is a
//! number there and `"off"` a truth value. What that does to a value is said in the error, because
//! nobody who reads their own file would guess it.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// What an instance of the module does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Looks at the machine for the page; writes nothing and never fails.
    Detect,
    /// Everything but the kernel parameters.
    Files,
    /// Only the kernel parameters.
    Cmdline,
    /// [`Stage::Files`] and [`Stage::Cmdline`] in one go.
    All,
}

/// What becomes of the installation when the machine cannot pass a GPU through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefused {
    /// It goes on without; the reason is kept in the target.
    Skip,
    /// It stops with the reason.
    Fail,
}

/// The configuration of one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What to do.
    pub stage: Stage,
    /// The same keys as in `provisioner.toml`; empty without any.
    pub answers: Map<String, Value>,
    /// The key of global storage that holds the user's choice; `None` where there is no page.
    pub choice: Option<String>,
    /// Where the hardware is read; `/` but in tests.
    pub machine_root: PathBuf,
    /// What becomes of the installation after a refusal.
    pub on_refused: OnRefused,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that does not exist.
    #[error("unknown key `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The known key that it resembles.
        nearest: Option<String>,
    },
    /// A value of the wrong type.
    #[error("`{key}` must be {wanted}, but Calamares read {found}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What would be right.
        wanted: &'static str,
        /// What is there, with the reason where it is not obvious.
        found: String,
    },
    /// A text that is none of the possible ones.
    #[error("`{key}` is `{value}`; it must be one of {wanted}{}", did_you_mean(nearest.as_deref()))]
    UnknownValue {
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// The possible ones.
        wanted: String,
        /// The possible one that it resembles.
        nearest: Option<String>,
    },
    /// A machine root that depends on where Calamares was started.
    #[error("`machineRoot` is `{0}`; it must be an absolute path")]
    RelativeRoot(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

const KEYS: &[&str] = &["stage", "answers", "choice", "machineRoot", "onRefused"];
const STAGES: &[(&str, Stage)] =
    &[("detect", Stage::Detect), ("files", Stage::Files), ("cmdline", Stage::Cmdline), ("all", Stage::All)];
const ON_REFUSED: &[(&str, OnRefused)] = &[("skip", OnRefused::Skip), ("fail", OnRefused::Fail)];

impl Config {
    /// Reads the configuration of an instance.
    ///
    /// `configuration` is `libcalamares.job.configuration`: a mapping, or null for an empty file.
    pub fn parse(configuration: &Value) -> Result<Self, ConfigError> {
        let empty = Map::new();
        let map = match configuration {
            Value::Object(map) => map,
            Value::Null => &empty,
            other => {
                return Err(ConfigError::WrongType {
                    key: "vfio-setup.conf",
                    wanted: "a mapping",
                    found: describe(other),
                });
            }
        };
        if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ConfigError::UnknownKey { key: key.clone(), nearest: nearest(key, KEYS) });
        }
        Ok(Self {
            stage: word(map, "stage", STAGES)?.unwrap_or(Stage::All),
            answers: answers(map)?,
            choice: text(map, "choice")?.filter(|key| !key.is_empty()),
            machine_root: machine_root(map)?,
            on_refused: word(map, "onRefused", ON_REFUSED)?.unwrap_or(OnRefused::Skip),
        })
    }
}

fn answers(map: &Map<String, Value>) -> Result<Map<String, Value>, ConfigError> {
    match map.get("answers") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(answers)) => Ok(answers.clone()),
        Some(other) => Err(ConfigError::WrongType {
            key: "answers",
            wanted: "a mapping with the keys of provisioner.toml",
            found: describe(other),
        }),
    }
}

fn machine_root(map: &Map<String, Value>) -> Result<PathBuf, ConfigError> {
    let path = PathBuf::from(text(map, "machineRoot")?.unwrap_or_else(|| "/".into()));
    if path.is_absolute() { Ok(path) } else { Err(ConfigError::RelativeRoot(path.display().to_string())) }
}

fn text(map: &Map<String, Value>, key: &'static str) -> Result<Option<String>, ConfigError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(ConfigError::WrongType { key, wanted: "text", found: describe(other) }),
    }
}

fn word<T: Copy>(
    map: &Map<String, Value>,
    key: &'static str,
    words: &[(&str, T)],
) -> Result<Option<T>, ConfigError> {
    let Some(value) = text(map, key)? else { return Ok(None) };
    if let Some((_, meant)) = words.iter().find(|(name, _)| *name == value) {
        return Ok(Some(*meant));
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    Err(ConfigError::UnknownValue { key, nearest: nearest(&value, &names), value, wanted: names.join(", ") })
}

/// The known name that `name` was probably meant to be.
fn nearest(name: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| (*candidate).to_owned())
}

/// Names a value that has the wrong type, with the trap that probably made it.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(truth) => format!(
            "the truth value {truth} (it takes on, off, true and false for truth values, quoted or not)"
        ),
        Value::Number(number) => format!("the number {number} (it takes digits for a number, quoted or not)"),
        Value::String(text) => format!("the text `{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(configuration: &Value) -> String {
        Config::parse(configuration).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_has_defaults() {
        let expected = Config {
            stage: Stage::All,
            answers: Map::new(),
            choice: None,
            machine_root: "/".into(),
            on_refused: OnRefused::Skip,
        };
        assert_eq!(Config::parse(&json!({})), Ok(expected.clone()));
        assert_eq!(Config::parse(&Value::Null), Ok(expected));
    }

    #[test]
    fn every_key_is_read() {
        let config = Config::parse(&json!({
            "stage": "cmdline",
            "answers": {"passthrough": {"mode": "at-boot"}},
            "choice": "packagechooser_gpu",
            "machineRoot": "/srv/machine",
            "onRefused": "fail",
        }))
        .unwrap();
        assert_eq!(config.stage, Stage::Cmdline);
        assert_eq!(config.answers["passthrough"]["mode"], "at-boot");
        assert_eq!(config.choice.as_deref(), Some("packagechooser_gpu"));
        assert_eq!(config.machine_root, PathBuf::from("/srv/machine"));
        assert_eq!(config.on_refused, OnRefused::Fail);
    }

    #[test]
    fn unknown_keys_name_the_near_one() {
        assert_eq!(
            error(&json!({"onrefused": "skip"})),
            "unknown key `onrefused`; did you mean `onRefused`?"
        );
        assert_eq!(error(&json!({"colour": "red"})), "unknown key `colour`");
    }

    #[test]
    fn unknown_values_name_the_possible_ones() {
        assert_eq!(
            error(&json!({"stage": "detekt"})),
            "`stage` is `detekt`; it must be one of detect, files, cmdline, all; did you mean `detect`?"
        );
    }

    #[test]
    fn the_traps_of_calamares_yaml_are_named() {
        assert_eq!(
            error(&json!({"choice": 1002})),
            "`choice` must be text, but Calamares read the number 1002 (it takes digits for a number, quoted or not)"
        );
        assert!(error(&json!({"stage": false})).contains("off"), "{}", error(&json!({"stage": false})));
        assert!(error(&json!({"answers": []})).contains("a list"));
        assert!(error(&json!([])).contains("must be a mapping"));
    }

    #[test]
    fn a_relative_machine_root_is_refused() {
        assert_eq!(error(&json!({"machineRoot": "m"})), "`machineRoot` is `m`; it must be an absolute path");
    }
}
