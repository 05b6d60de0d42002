//! The forms of values, out of the schema of the answers: what would be right where something is wrong,
//! and what serde lets pass (a list where a table belongs).

use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{Answers, InvalidAnswers};

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(schemars::schema_for!(Answers)).unwrap_or_default());

/// Text that has a form of its own: the name of the schema that says so, and what it looks like.
const TEXTS: [(&str, &str); 2] = [
    ("/PciAddress", "a PCI address like \"0000:01:00.0\""),
    ("/FunctionName", "a PCI address like \"0000:01:00.0\" or an id like \"10de:2204\""),
];

/// The way to a value: keys, and numbers of elements.
pub(super) type Path = Vec<String>;

/// The first value whose type is wrong, with the way to it.
pub(super) fn wrong_type(answers: &Value) -> Option<(Path, InvalidAnswers)> {
    check(&SCHEMA, answers, &mut Vec::new())
}

fn check(node: &Value, value: &Value, path: &mut Path) -> Option<(Path, InvalidAnswers)> {
    let forms = forms(node);
    let fitting: Vec<&Value> = forms.into_iter().filter(|form| fits(form, value)).collect();
    if fitting.is_empty() {
        let message = format!("invalid type: {}, expected {}", kind(value), expected(node));
        return Some((path.clone(), InvalidAnswers { line: None, message, hint: Some(right(node)) }));
    }
    let mut below = |name: &str, node: &Value, value: &Value| {
        path.push(name.to_owned());
        let wrong = check(node, value, path);
        path.pop();
        wrong
    };
    let form = fitting.first()?;
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, field)| {
            // A key that is not known is serde's to tell, with the near one.
            let node = form["properties"].get(name).or_else(|| form.get("additionalProperties"))?;
            node.is_object().then(|| below(name, node, field))?
        }),
        Value::Array(items) => {
            let node = form.get("items")?;
            items.iter().enumerate().find_map(|(index, item)| below(&index.to_string(), node, item))
        }
        _ => None,
    }
}

/// What a node allows, one by one.
fn forms(node: &Value) -> Vec<&Value> {
    if let Some(to) = node["$ref"].as_str() {
        return SCHEMA.pointer(to.trim_start_matches('#')).map(forms).unwrap_or_default();
    }
    match node["anyOf"].as_array().or_else(|| node["oneOf"].as_array()) {
        Some(several) => several.iter().flat_map(forms).collect(),
        None => vec![node],
    }
}

fn type_of(form: &Value) -> &str {
    form["type"].as_str().unwrap_or("string")
}

fn fits(form: &Value, value: &Value) -> bool {
    match type_of(form) {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// The type in serde's words.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("boolean `{truth}`"),
        Value::Number(number) if number.is_f64() => format!("floating point `{number}`"),
        Value::Number(number) => format!("integer `{number}`"),
        Value::String(text) => format!("string {text:?}"),
        Value::Array(_) => "sequence".to_owned(),
        Value::Object(_) => "map".to_owned(),
    }
}

/// The types that a node allows, in serde's words.
fn expected(node: &Value) -> String {
    let mut types: Vec<&str> = Vec::new();
    for form in forms(node) {
        let one = match (type_of(form), form["format"].as_str()) {
            ("integer", Some("uint32")) => "u32",
            ("integer", _) => "u64",
            ("boolean", _) => "a boolean",
            ("array", _) => "a sequence",
            ("object", _) => "a table",
            ("null", _) => continue,
            _ => "a string",
        };
        if !types.contains(&one) {
            types.push(one);
        }
    }
    types.join(" or ")
}

/// What would be right at a node.
fn right(node: &Value) -> String {
    let words: Vec<String> = forms(node).into_iter().flat_map(words).collect();
    let mut ways = if words.is_empty() { Vec::new() } else { vec![words.join(", ")] };
    ways.extend(forms(node).into_iter().filter(|form| self::words(form).is_empty()).filter_map(way));
    format!("write {}", ways.join(" or "))
}

fn words(form: &Value) -> Vec<String> {
    let listed = form["enum"].as_array().into_iter().flatten();
    form.get("const").into_iter().chain(listed).map(Value::to_string).collect()
}

/// One way to write a value that is no word of a list.
fn way(form: &Value) -> Option<String> {
    Some(match type_of(form) {
        "null" => return None,
        "boolean" => "true or false, without quotes".to_owned(),
        "integer" if form["format"] == "uint32" => {
            format!("a whole number from 0 to {}, without quotes", u32::MAX)
        }
        "integer" => "a whole number, without quotes".to_owned(),
        "array" => list(&form["items"]),
        "object" => table(form),
        _ => text(form),
    })
}

fn text(form: &Value) -> String {
    let named = |(name, _): &&(&str, &str)| SCHEMA.pointer(&format!("/$defs{name}")) == Some(form);
    match TEXTS.iter().find(named) {
        Some((_, way)) => (*way).to_owned(),
        None if form.get("pattern").is_some() => "text like \"2560x1440\"".to_owned(),
        None => "it as text in double quotes".to_owned(),
    }
}

fn list(items: &Value) -> String {
    let words: Vec<String> = forms(items).into_iter().flat_map(words).collect();
    if !words.is_empty() {
        return format!("a list of any of {}", words.join(", "));
    }
    match forms(items).first().map(|form| text(form)) {
        Some(way) if way.starts_with("a PCI address") => format!("a list of which each is {way}"),
        _ => "a list, like [\"one\", \"two\"]".to_owned(),
    }
}

fn table(form: &Value) -> String {
    let required = form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let fields: Vec<String> = required
        .map(|name| {
            let value = if type_of(&form["properties"][name]) == "integer" { "4" } else { "\"...\"" };
            format!("{name} = {value}")
        })
        .collect();
    if fields.is_empty() {
        "it as a table, [NAME] in a line of its own".to_owned()
    } else {
        format!("a table like {{{}}}", fields.join(", "))
    }
}

/// What would be right at the end of a way.
pub(super) fn right_at(path: &[String]) -> Option<String> {
    let mut node = &*SCHEMA;
    for name in path {
        node = forms(node).into_iter().find_map(|form| {
            let fields = form["properties"].get(name).or_else(|| form.get("additionalProperties"));
            fields.filter(|node| node.is_object()).or_else(|| form.get("items"))
        })?;
    }
    Some(right(node))
}

/// The key that a way ends with; the number of an element is none.
pub(super) fn key(path: &[String]) -> Option<&str> {
    path.iter().map(String::as_str).rfind(|name| name.parse::<usize>().is_err())
}

/// The way to the value that stands at this byte of a text.
pub(super) fn path_at(text: &str, at: usize) -> Path {
    let mut path = Path::new();
    if let Ok(table) = DeTable::parse(text) {
        enter(below(table.get_ref()), at, &mut path);
    }
    path
}

type Spot<'a> = toml::Spanned<DeValue<'a>>;

fn below<'a>(table: &'a DeTable<'a>) -> Vec<(String, &'a Spot<'a>)> {
    table.iter().map(|(name, value)| (name.get_ref().to_string(), value)).collect()
}

fn enter<'a>(values: Vec<(String, &'a Spot<'a>)>, at: usize, path: &mut Path) {
    let found = values.into_iter().find(|(_, value)| spans(value).iter().any(|range| range.contains(&at)));
    let Some((name, value)) = found else { return };
    path.push(name);
    match value.get_ref() {
        DeValue::Table(table) => enter(below(table), at, path),
        DeValue::Array(items) => {
            enter(
                items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
                at,
                path,
            );
        }
        _ => {}
    }
}

/// Where a value stands: a table under a heading of its own stands where its values stand, too.
fn spans(value: &Spot<'_>) -> Vec<Range<usize>> {
    let mut all = vec![value.span()];
    if let DeValue::Table(table) = value.get_ref() {
        all.extend(table.iter().flat_map(|(_, value)| spans(value)));
    }
    all
}

/// Where the value at the end of a way begins in a text.
pub(super) fn begin_of(text: &str, path: &[String]) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let mut value =
        table.get_ref().iter().find(|(name, _)| name.get_ref() == first).map(|(_, value)| value)?;
    for name in rest {
        value = match value.get_ref() {
            DeValue::Table(table) => {
                table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)?
            }
            DeValue::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value.span().start)
}

/// Where the last of these keys, each in the table of the one before, stands first in a text.
pub(super) fn begin_of_key(text: &str, keys: &[&str]) -> Option<usize> {
    let (last, above) = keys.split_last()?;
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    for name in above {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        let DeValue::Table(below) = value.get_ref() else { return None };
        table = below;
    }
    table.keys().find(|key| key.get_ref() == last).map(|key| key.span().start)
}
