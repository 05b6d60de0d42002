//! The count itself: pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// So many boots in a row may fail to become good; the next one gives the card back.
pub const LIMIT: usize = 3;

const SCHEMA: &str = "neuron-boots/1";

/// What is remembered of boots with passthrough in force (`neuron-boots/1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boots {
    schema: String,
    /// The kernel's ids of boots that began and were not good (yet), in their order.
    #[serde(default)]
    pub unproven: Vec<String>,
    /// What lay on the boot partitions when the newest of them began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BootFiles>,
    /// Since when the host has everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_back: Option<GivenBack>,
    /// The boot in which a person wanted it again: it takes another one until it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_in: Option<String>,
}

/// Kernels and images as they were when a boot began: what that boot started is among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFiles {
    /// The boot.
    pub boot: String,
    /// Their paths and [stamps](crate::root::Root::stamp).
    pub stamps: BTreeMap<String, String>,
}

/// That the card went back to the host, and stays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenBack {
    /// The boot that gave it back.
    pub boot: String,
    /// Why, in a sentence.
    pub because: String,
}

/// What has to be done in the boot that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Go on: it is the so-manyth in a row that has to prove itself, from 1.
    Try(usize),
    /// The host gets everything back now.
    GiveBack {
        /// Whether an earlier boot did so already.
        again: bool,
    },
}

impl Default for Boots {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            unproven: Vec::new(),
            files: None,
            given_back: None,
            wanted_in: None,
        }
    }
}

impl Boots {
    /// What a count that cannot be understood is taken for: all tries but one are used up.
    pub(super) fn damaged() -> Self {
        Self { unproven: vec!["unknown".to_owned(); LIMIT - 1], ..Self::default() }
    }

    /// Reads what [`Self::render`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let boots: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if boots.schema == SCHEMA {
            Ok(boots)
        } else {
            Err(format!("its schema is `{}`, and this program knows `{SCHEMA}`", boots.schema))
        }
    }

    /// The text of the file.
    pub fn render(&self) -> String {
        // A list of strings always has a JSON text.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A boot began with passthrough in force. Counted once, however often it is asked.
    pub fn begin(&mut self, boot: &str) -> Next {
        self.wanted_in = None;
        if let Some(given_back) = &self.given_back {
            return Next::GiveBack { again: given_back.boot != boot };
        }
        if let Some(place) = self.unproven.iter().position(|known| known == boot) {
            return Next::Try(place + 1);
        }
        if self.unproven.len() >= LIMIT {
            self.give_back(boot, &format!("{LIMIT} boots in a row with passthrough were never good"));
            return Next::GiveBack { again: false };
        }
        self.unproven.push(boot.to_owned());
        Next::Try(self.unproven.len())
    }

    /// The card goes back in this boot, and stays with the host; the first reason is the one to tell.
    pub fn give_back(&mut self, boot: &str, because: &str) {
        let new = || GivenBack { boot: boot.to_owned(), because: because.to_owned() };
        self.given_back.get_or_insert_with(new);
    }

    /// A boot was good.
    pub fn good(&mut self) {
        self.unproven.clear();
    }

    /// A person wants passthrough, in this boot.
    pub fn clear(&mut self, boot: Option<String>) {
        let wanted_in = if self.given_back.is_some() { boot } else { self.wanted_in.take() };
        // What this boot started stays true.
        *self = Self { wanted_in, files: self.files.take(), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_boots_that_were_never_good_give_the_card_back_for_good() {
        let mut boots = Boots::default();
        for (number, boot) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(boots.begin(boot), Next::Try(number + 1));
            assert_eq!(boots.begin(boot), Next::Try(number + 1), "the same boot counts once");
        }
        assert_eq!(boots.begin("d"), Next::GiveBack { again: false });
        assert_eq!(boots.begin("d"), Next::GiveBack { again: false });
        boots.good();
        assert_eq!(boots.begin("e"), Next::GiveBack { again: true }, "a good boot without it proves nothing");
        boots.clear(Some("e".to_owned()));
        assert_eq!(boots.wanted_in.as_deref(), Some("e"));
        assert_eq!(boots.begin("f"), Next::Try(1));
        assert_eq!(boots.wanted_in, None);
    }

    #[test]
    fn a_good_boot_in_between_begins_anew() {
        let mut boots = Boots::default();
        for boot in ["a", "b", "c"] {
            boots.begin(boot);
        }
        boots.good();
        for (number, boot) in ["d", "e", "f"].into_iter().enumerate() {
            assert_eq!(boots.begin(boot), Next::Try(number + 1));
        }
        assert_eq!(boots.begin("g"), Next::GiveBack { again: false });
    }

    #[test]
    fn what_cannot_be_understood_leaves_one_try() {
        for bytes in [&b""[..], b"{", b"\xff\xff", b"[]", b"{\"schema\":\"neuron-boots/9\"}"] {
            Boots::parse(bytes).unwrap_err();
        }
        let mut boots = Boots::damaged();
        assert_eq!(boots.begin("a"), Next::Try(LIMIT));
        assert_eq!(boots.begin("b"), Next::GiveBack { again: false });
        let mut boots = Boots::damaged();
        boots.begin("a");
        boots.good();
        assert_eq!(boots, Boots::default());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(events in proptest::collection::vec((0..3u8, "[a-e]"), 0..12)) {
            let mut boots = Boots::default();
            for (event, boot) in events {
                match event {
                    0 => drop(boots.begin(&boot)),
                    1 => boots.good(),
                    _ => boots.clear(Some(boot)),
                }
                prop_assert_eq!(Boots::parse(boots.render().as_bytes()).unwrap(), boots.clone());
                prop_assert!(boots.unproven.len() <= LIMIT);
            }
        }
    }
}
