//! Answers that are a word or something else: `"auto"`, `"all"`, or a list; and their one wire form.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{FunctionName, PciAddress};

/// Which GPUs go to a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Gpus {
    /// The best one.
    #[default]
    Auto,
    /// Every one but the host's.
    All,
    /// These.
    Named(Vec<FunctionName>),
}

/// Which GPU the host keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostGpu {
    /// The one that serves it best.
    #[default]
    Auto,
    /// This one.
    Named(FunctionName),
}

/// Which of the guest GPUs a virtual machine gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VmGpus {
    /// All that no other virtual machine names.
    #[default]
    Auto,
    /// None.
    None,
    /// These.
    Named(Vec<PciAddress>),
}

/// Which cores run a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CpuPinning {
    /// Whole cores near the GPU.
    #[default]
    Auto,
    /// Any.
    Off,
    /// Cores from this one on.
    From {
        /// The first core's number.
        first: u32,
    },
}

/// A word of a list of words, or a list of names.
struct WordOrList<'a> {
    words: &'a [&'a str],
    of: &'static str,
}

enum Given {
    Word(usize),
    List(Vec<String>),
}

impl<'de> Visitor<'de> for WordOrList<'_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(|word| format!("\"{word}\"")).collect();
        write!(f, "{} or a list of {}", words.join(", "), self.of)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given, E> {
        match self.words.iter().position(|word| *word == text) {
            Some(index) => Ok(Given::Word(index)),
            None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Given, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        Ok(Given::List(names))
    }
}

fn parse_list<T: std::str::FromStr<Err: fmt::Display>, E: de::Error>(names: &[String]) -> Result<Vec<T>, E> {
    names.iter().map(|name| name.parse().map_err(E::custom)).collect()
}

impl<'de> Deserialize<'de> for Gpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted =
            WordOrList { words: &["auto", "all"], of: "GPUs like [\"0000:01:00.0\"] or [\"10de:2204\"]" };
        match deserializer.deserialize_any(wanted)? {
            Given::Word(0) => Ok(Self::Auto),
            Given::Word(_) => Ok(Self::All),
            Given::List(names) if names.is_empty() => Err(de::Error::custom(
                "an empty list gives nothing away; write mode = \"off\" for no passthrough",
            )),
            Given::List(names) => Ok(Self::Named(parse_list(&names)?)),
        }
    }
}

impl Serialize for Gpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::All => serializer.serialize_str("all"),
            Self::Named(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HostGpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Named).map_err(de::Error::custom),
        }
    }
}

impl Serialize for HostGpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Named(name) => name.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for VmGpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = WordOrList { words: &["auto", "none"], of: "PCI addresses" };
        match deserializer.deserialize_any(wanted)? {
            Given::Word(0) => Ok(Self::Auto),
            Given::Word(_) => Ok(Self::None),
            Given::List(names) => Ok(Self::Named(parse_list(&names)?)),
        }
    }
}

impl Serialize for VmGpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::Named(names) => names.serialize(serializer),
        }
    }
}

/// The table form of [`CpuPinning`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstCore {
    first: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WordOrTable {
    Word(String),
    Table(FirstCore),
}

impl<'de> Deserialize<'de> for CpuPinning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOrTable::deserialize(deserializer) {
            Ok(WordOrTable::Word(word)) if word == "auto" => Ok(Self::Auto),
            Ok(WordOrTable::Word(word)) if word == "off" => Ok(Self::Off),
            Ok(WordOrTable::Table(FirstCore { first })) => Ok(Self::From { first }),
            Ok(WordOrTable::Word(_)) | Err(_) => {
                Err(de::Error::custom("expected \"auto\", \"off\" or a table like {first = 4}"))
            }
        }
    }
}

impl Serialize for CpuPinning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Off => serializer.serialize_str("off"),
            Self::From { first } => FirstCore { first: *first }.serialize(serializer),
        }
    }
}

/// The schema of a word or a list of `T`.
fn words_or<T: JsonSchema>(words: &[&str], generator: &mut SchemaGenerator) -> Schema {
    let list = generator.subschema_for::<Vec<T>>();
    json_schema!({ "anyOf": [{ "enum": words }, list] })
}

impl JsonSchema for Gpus {
    fn schema_name() -> Cow<'static, str> {
        "Gpus".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        words_or::<FunctionName>(&["auto", "all"], generator)
    }
}

impl JsonSchema for HostGpu {
    fn schema_name() -> Cow<'static, str> {
        "HostGpu".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<FunctionName>();
        json_schema!({ "anyOf": [{ "const": "auto" }, name] })
    }
}

impl JsonSchema for VmGpus {
    fn schema_name() -> Cow<'static, str> {
        "VmGpus".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        words_or::<PciAddress>(&["auto", "none"], generator)
    }
}

impl JsonSchema for CpuPinning {
    fn schema_name() -> Cow<'static, str> {
        "CpuPinning".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["auto", "off"] },
            { "type": "object", "properties": { "first": { "type": "integer", "minimum": 0 } },
              "required": ["first"], "additionalProperties": false },
        ] })
    }
}
