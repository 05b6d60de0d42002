//! What the user chose on the page.

use neuron_passthrough::id::PciAddress;
use serde_json::Value;

use crate::config::describe;

/// The user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// There is no page in this installation: the answers alone decide.
    NotAsked,
    /// No passthrough: said so, never asked, or the page was skipped.
    Off,
    /// This card goes to a virtual machine.
    Card(PciAddress),
}

/// A choice that no page of ours can have made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "global storage holds {found} under `{key}`; it must be `off` or the PCI address of a card, like 0000:01:00.0"
)]
pub struct ChoiceError {
    key: String,
    found: String,
}

impl Choice {
    /// Reads the choice.
    ///
    /// `key` is the configured key of global storage, `stored` what is there. Doubt is an error:
    /// an unreadable choice is neither a yes nor a no.
    pub fn read(key: Option<&str>, stored: Option<&Value>) -> Result<Self, ChoiceError> {
        let Some(key) = key else { return Ok(Self::NotAsked) };
        let error = |found: String| ChoiceError { key: key.to_owned(), found };
        match stored {
            // False: "off" that went through YAML, in an unattended image that sets the key itself.
            None | Some(Value::Null | Value::Bool(false)) => Ok(Self::Off),
            Some(Value::String(text)) => match text.as_str() {
                "" | "off" | "none" => Ok(Self::Off),
                address => {
                    address.parse().map(Self::Card).map_err(|_| error(format!("the text `{address}`")))
                }
            },
            Some(other) => Err(error(describe(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const KEY: Option<&str> = Some("packagechooser_gpu");

    #[test]
    fn without_a_page_nothing_is_asked() {
        assert_eq!(Choice::read(None, Some(&json!("0000:01:00.0"))), Ok(Choice::NotAsked));
    }

    #[test]
    fn a_page_that_nobody_saw_means_no() {
        for stored in [None, Some(json!(null)), Some(json!("")), Some(json!("off")), Some(json!("none"))] {
            assert_eq!(Choice::read(KEY, stored.as_ref()), Ok(Choice::Off), "{stored:?}");
        }
    }

    #[test]
    fn a_card_is_named_by_its_address() {
        let card = Choice::read(KEY, Some(&json!("10000:e1:00.0"))).unwrap();
        assert_eq!(card, Choice::Card("10000:e1:00.0".parse().unwrap()));
    }

    #[test]
    fn anything_else_is_an_error_that_names_the_key() {
        for stored in [json!(true), json!(1), json!(["0000:01:00.0"]), json!("01:00.0 "), json!("yes")] {
            let error = Choice::read(KEY, Some(&stored)).unwrap_err().to_string();
            assert!(error.contains("packagechooser_gpu"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn only_an_address_is_ever_a_card(text in ".{0,16}") {
            if let Ok(Choice::Card(address)) = Choice::read(KEY, Some(&json!(text))) {
                prop_assert_eq!(address.to_string(), text.to_lowercase());
            }
        }
    }
}
