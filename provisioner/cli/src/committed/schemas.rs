//! JSON Schemas of everything that the program prints or reads as a document.

use std::collections::BTreeMap;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::plan::PlanDocument;
use neuron_passthrough::root::Capture;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::json;

use super::assert_in_step;
use crate::report::{
    DemoReport, DoctorReport, DomainReport, GlassReport, GuideReport, InspectReport, ResultReport,
    StatusReport,
};

/// The schema of a document that the program writes: fields that may be null are there all the same.
fn written<T: JsonSchema>(name: &str) -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(name));
    // A document says which schema it follows; one of another number must not pass.
    if let Some(own) = schema.pointer_mut("/properties/schema") {
        *own = json!({ "const": name, "description": "The name and number of this schema." });
    }
    schema
}

/// The schema of the answers, of which everything may be left out.
fn answers() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Answers>();
    schema.insert("title".to_owned(), json!("provisioner.toml"));
    schema
}

fn text(schema: &Schema) -> String {
    serde_json::to_string_pretty(schema).unwrap() + "\n"
}

#[test]
fn schemas_are_in_step() {
    let files = BTreeMap::from([
        ("neuron-inspect-1.json", written::<InspectReport>("neuron-inspect/1")),
        ("neuron-plan-1.json", written::<PlanDocument>("neuron-plan/1")),
        ("neuron-result-1.json", written::<ResultReport>("neuron-result/1")),
        ("neuron-status-1.json", written::<StatusReport>("neuron-status/1")),
        ("neuron-doctor-1.json", written::<DoctorReport>("neuron-doctor/1")),
        ("neuron-capture-1.json", written::<Capture>("neuron-capture/1")),
        ("neuron-domain-1.json", written::<DomainReport>("neuron-domain/1")),
        ("neuron-guide-1.json", written::<GuideReport>("neuron-guide/1")),
        ("neuron-looking-glass-1.json", written::<GlassReport>("neuron-looking-glass/1")),
        ("neuron-demo-1.json", written::<DemoReport>("neuron-demo/1")),
        ("provisioner.toml-1.json", answers()),
    ]);
    let files = files.iter().map(|(name, schema)| ((*name).to_owned(), text(schema))).collect();
    assert_in_step("schema", &files, |name| {
        std::path::Path::new(name).extension().is_some_and(|extension| extension == "json")
    });
}

/// Every object says what its fields mean: a schema without words helps nobody.
#[test]
fn every_field_is_described() {
    fn look(value: &serde_json::Value, at: &str, bare: &mut Vec<String>) {
        if let Some(fields) = value.get("properties").and_then(serde_json::Value::as_object) {
            for (name, field) in fields {
                if field.get("description").is_none() {
                    bare.push(format!("{at}.{name}"));
                }
            }
        }
        for (name, definition) in
            value.get("$defs").and_then(serde_json::Value::as_object).into_iter().flatten()
        {
            look(definition, name, bare);
        }
    }
    let mut bare = Vec::new();
    for schema in [
        written::<InspectReport>("inspect"),
        written::<PlanDocument>("plan"),
        written::<ResultReport>("result"),
        written::<StatusReport>("status"),
        written::<DoctorReport>("doctor"),
        written::<DemoReport>("demo"),
        written::<DomainReport>("domain"),
        written::<GlassReport>("looking-glass"),
        answers(),
    ] {
        look(schema.as_value(), "document", &mut bare);
    }
    assert_eq!(bare, Vec::<String>::new());
}
