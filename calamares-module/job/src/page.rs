//! What the page is told: the contract between the `detect` stage and `page/gpu.qml`.

use serde::Serialize;

/// The key of global storage that the page reads.
pub const KEY: &str = "vfioSetup";

/// The id of the option that leaves every card with the host.
pub const OFF: &str = "off";

/// What there is to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At least one card can be handed over.
    Choice,
    /// There is nothing to ask; the page is skipped.
    Nothing,
    /// A card can probably be handed over; whether it can shows after the first boot.
    Pending,
    /// There is a card, but it cannot be handed over on this machine; the page says why.
    Refused,
}

/// One thing that the user can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choosable {
    /// [`OFF`] or the PCI address of the card.
    pub id: String,
    /// The name of the card; English for [`OFF`].
    pub title: String,
    /// A sentence about it, in English.
    pub detail: String,
}

/// What the page shows.
///
/// The texts are English; the page has translations for what it knows by `state` and `reason`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// What there is to ask.
    pub state: State,
    /// The names of the cards that were found, as one line.
    pub headline: String,
    /// Why it is as it is, as a sentence or two.
    pub explanation: String,
    /// The code of the finding that decided, for translations; empty without one.
    pub reason: String,
    /// What can be chosen, [`OFF`] first; empty when there is nothing to choose.
    pub options: Vec<Choosable>,
    /// The id that is chosen when the page comes up for the first time.
    pub preset: String,
}
