//! A question as data, whoever asks it.

/// The word that goes back, wherever something can be typed.
pub(crate) const BACK: &str = "back";

/// A part of what is told before a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A paragraph.
    Text(String),
    /// An entry of a list.
    Item(String),
}

/// What can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One of these.
    Choice {
        /// What they are called.
        options: Vec<String>,
        /// The one that is proposed.
        proposed: usize,
    },
    /// A line of text.
    Line {
        /// What an empty line stands for.
        proposed: String,
    },
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    /// What has to be known to answer it.
    pub(crate) text: Vec<Part>,
    /// The question itself.
    pub(crate) prompt: String,
    /// What can be answered.
    pub(crate) kind: Kind,
}

impl Question {
    /// One of several; the first is proposed.
    pub(crate) fn choice(prompt: &str, options: Vec<String>) -> Self {
        Self { text: Vec::new(), prompt: prompt.to_owned(), kind: Kind::Choice { options, proposed: 0 } }
    }

    /// A line of text.
    pub(crate) fn line(prompt: &str, proposed: impl Into<String>) -> Self {
        let kind = Kind::Line { proposed: proposed.into() };
        Self { text: Vec::new(), prompt: prompt.to_owned(), kind }
    }

    /// The same with another option proposed.
    pub(crate) fn proposing(mut self, index: usize) -> Self {
        if let Kind::Choice { proposed, .. } = &mut self.kind {
            *proposed = index;
        }
        self
    }

    /// The same with a paragraph more.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text.push(Part::Text(text.into()));
        self
    }

    /// The same with these entries of a list.
    pub(crate) fn items(mut self, items: impl IntoIterator<Item = String>) -> Self {
        self.text.extend(items.into_iter().map(Part::Item));
        self
    }
}

/// Where in the dialogue a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The title of its page.
    pub(crate) title: &'static str,
    /// The number of its page, counted from 1.
    pub(crate) number: usize,
    /// How many pages there are.
    pub(crate) of: usize,
    /// Whether the page begins with it.
    pub(crate) is_first: bool,
    /// Whether there is a question to go back to.
    pub(crate) has_before: bool,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The option with this index.
    Choice(usize),
    /// This text, without blanks at its ends.
    Line(String),
}

impl Answer {
    /// The index, where an option was chosen.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::Choice(index) => *index,
            Self::Line(_) => usize::MAX,
        }
    }

    /// The text, where one was typed.
    pub(crate) fn line(&self) -> &str {
        match self {
            Self::Choice(_) => "",
            Self::Line(text) => text,
        }
    }
}

/// What somebody did with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Answered it.
    Answer(Answer),
    /// Went back to the one before.
    Back,
}
