//! The templates of domains, and those that a user puts in their place.

use std::fmt::Write as _;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use serde::Serialize;

/// Every template that is built in, by name.
const BUILT_IN: [(&str, &str); 6] = [
    ("domain.xml.j2", include_str!("../../templates/domain.xml.j2")),
    ("windows.xml.j2", include_str!("../../templates/windows.xml.j2")),
    ("windows11-passthrough.xml.j2", include_str!("../../templates/windows11-passthrough.xml.j2")),
    ("windows10-passthrough.xml.j2", include_str!("../../templates/windows10-passthrough.xml.j2")),
    ("linux-passthrough.xml.j2", include_str!("../../templates/linux-passthrough.xml.j2")),
    ("guide-windows.md.j2", include_str!("../../templates/guide-windows.md.j2")),
];

/// How names of templates end whose values are escaped as in XML; all others are plain text.
const XML: &str = ".xml.j2";

/// A template that cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("{name}{}: {why}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    /// Which template.
    pub name: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// What is wrong there.
    pub why: String,
}

/// Renders a template with values. `own` are a user's templates, by name: they win over the built-in
/// ones of the same name. A variable that is not there is an error, never an empty text.
pub(super) fn render(
    name: &str,
    own: &[(String, String)],
    values: impl Serialize,
) -> Result<String, TemplateError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(XML) { AutoEscape::Custom("xml".into()) } else { AutoEscape::None }
    });
    environment.set_formatter(escaped);
    let mut failed = None;
    for (name, text) in BUILT_IN
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .chain(own.iter().cloned())
    {
        if let Err(error) = environment.add_template_owned(name, text) {
            failed = failed.or(Some(error));
        }
    }
    if let Some(error) = failed {
        return Err(wrong(name, &error));
    }
    let template = environment.get_template(name).map_err(|error| wrong(name, &error))?;
    template.render(Value::from(Serde(values))).map_err(|error| wrong(name, &error))
}

/// A value as text of XML. minijinja's own escaping is that of HTML and makes paths unreadable.
fn escaped(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let text = value.to_string();
    if value.is_safe() || matches!(state.auto_escape(), AutoEscape::None) {
        return out.write_str(&text).map_err(Error::from);
    }
    for character in text.chars() {
        let done = match character {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '\'' => out.write_str("&apos;"),
            '"' => out.write_str("&quot;"),
            _ => out.write_char(character),
        };
        done.map_err(Error::from)?;
    }
    Ok(())
}

/// Names template and line where the mistake is, which may be in a template that was extended.
fn wrong(asked: &str, error: &minijinja::Error) -> TemplateError {
    let mut inner = error;
    while let Some(cause) = std::error::Error::source(inner).and_then(|cause| cause.downcast_ref()) {
        inner = cause;
    }
    TemplateError {
        name: inner.name().unwrap_or(asked).to_owned(),
        line: inner.line(),
        why: inner
            .detail()
            .map_or_else(|| inner.kind().to_string(), |detail| format!("{}: {detail}", inner.kind())),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn own(text: &str) -> Result<String, TemplateError> {
        let values = BTreeMap::from([("name", "a'b\"<&>/c")]);
        render(
            "linux-passthrough.xml.j2",
            &[("linux-passthrough.xml.j2".to_owned(), text.to_owned())],
            values,
        )
    }

    #[test]
    fn a_template_of_the_user_wins_and_values_are_escaped() {
        assert_eq!(own("<x n='{{ name }}'/>").unwrap(), "<x n='a&apos;b&quot;&lt;&amp;&gt;/c'/>");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let error = own("<x>\n{{ nmae }}\n</x>").unwrap_err().to_string();
        assert!(error.starts_with("linux-passthrough.xml.j2, line 2: undefined value"), "{error}");
        let error = own("<x>\n\n{% if %}\n</x>").unwrap_err().to_string();
        assert!(error.starts_with("linux-passthrough.xml.j2, line 3: syntax error"), "{error}");
    }
}
