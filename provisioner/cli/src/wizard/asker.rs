//! Puts questions to the person at the terminal, in the manner that the terminal allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::{Term, style};
use neuron_passthrough::root::Root;

use super::idle::Idle;
use super::plain::{self, NoAnswer};
use super::{Answer, BACK, Kind, Part, Place, Question, Reply, screen};
use crate::failure::Failure;
use crate::interrupt::{self, Question as Watched};
use crate::narrate;
use crate::render::wrapped_for_stderr;

/// Menus are for terminals of at least this many rows and columns: a console has 80x25, tmux takes a row.
const SMALLEST: (u16, u16) = (20, 72);
/// What is on the screen below the text: title, menu and a blank line, besides the options.
const AROUND: usize = 5;
/// The kernel's screen reader, and what the installation media of Arch Linux say when somebody asked for it.
const SPEAKUP: &str = "sys/accessibility/speakup";
const ACCESSIBLE: &str = "accessibility=on";

/// How somebody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Menus that move.
    Menus,
    /// Numbered lines.
    Plain,
}

impl Manner {
    /// What the terminal, the environment and a screen reader of this `system` ask for.
    pub(crate) fn fitting(system: &Root, wants_plain: bool) -> Result<Self, Failure> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let command_line = system.attribute("proc/cmdline")?.unwrap_or_default();
        let is_read_aloud = is_set("ACCESSIBLE")
            || system.exists(SPEAKUP)?
            || command_line.split_whitespace().any(|token| token == ACCESSIBLE);
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let no_colors = !console::colors_enabled_stderr();
        let plain = wants_plain || is_read_aloud || is_dumb || no_colors;
        Ok(if plain { Self::Plain } else { Self::Menus })
    }
}

/// Whoever asks.
pub(crate) struct Asker {
    manner: Manner,
    patience: Option<Duration>,
    interrupted: Arc<AtomicBool>,
    /// Whether it was said why there are no menus.
    told_small: bool,
    /// The page whose title was shown last.
    page: Option<usize>,
}

impl Asker {
    /// From now on Ctrl-C ends the questions, not the program.
    pub(crate) fn begin(manner: Manner, patience: Option<Duration>) -> Result<Self, Failure> {
        if manner == Manner::Plain {
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        Ok(Self { manner, patience, interrupted: interrupt::flag()?, told_small: false, page: None })
    }

    /// How it is asked now: a terminal that became too small gets lines.
    fn manner(&self) -> Manner {
        match Term::stderr().size_checked() {
            Some((rows, columns)) if rows >= SMALLEST.0 && columns >= SMALLEST.1 => self.manner,
            _ => Manner::Plain,
        }
    }

    /// Whether lines are written that stay.
    pub(crate) fn is_plain(&self) -> bool {
        self.manner() == Manner::Plain
    }

    /// An end that was asked for meanwhile.
    pub(crate) fn go_on(&self) -> Result<(), Failure> {
        if self.interrupted.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Asks, below the title of the page where it begins.
    pub(crate) fn ask(
        &mut self,
        place: Place,
        question: &Question,
        refused: Option<&str>,
    ) -> Result<Reply, Failure> {
        self.tell_small();
        if place.is_first || self.page != Some(place.number) {
            narrate::line(&self.title(place));
        } else {
            narrate::line("");
        }
        self.page = Some(place.number);
        if let Some(why) = refused {
            let label = format!("{} ", style("That cannot be:").for_stderr().red().bold());
            narrate::line(&wrapped_for_stderr(&format!("{why}."), &label, "  "));
            narrate::line("");
            // Whoever has read the text needs the question again, not the text.
            return self.put(question, place.has_before);
        }
        let options = match &question.kind {
            Kind::Choice { options, .. } => options.len() + 1,
            Kind::Line { .. } => 1,
        };
        let text = Self::lines(&question.text);
        if let Some(reply) = self.show(&text, options + AROUND)? {
            return Ok(reply);
        }
        self.put(question, place.has_before)
    }

    /// Shows a text of any length, screen by screen. Going back ends it.
    pub(crate) fn read(&mut self, text: &str) -> Result<Option<Reply>, Failure> {
        self.show(&text.lines().map(str::to_owned).collect::<Vec<_>>(), AROUND)
    }

    fn tell_small(&mut self) {
        if self.manner == Manner::Menus && self.is_plain() && !self.told_small {
            self.told_small = true;
            let (columns, rows) = (SMALLEST.1, SMALLEST.0);
            narrate::line(&format!(
                "This terminal is smaller than {columns}x{rows}: numbered lines instead of menus."
            ));
        }
    }

    fn title(&self, place: Place) -> String {
        let name =
            if place.is_first { place.title.to_owned() } else { format!("{}, continued", place.title) };
        let title = format!("Page {} of {}: {name}", place.number, place.of);
        if self.is_plain() {
            return format!("\n{title}\n");
        }
        let rest = 78_usize.saturating_sub(title.len() + 1);
        format!(
            "\n{} {}\n",
            style(title).for_stderr().bold().cyan(),
            style("-".repeat(rest)).for_stderr().cyan()
        )
    }

    fn lines(text: &[Part]) -> Vec<String> {
        let mut lines = Vec::new();
        for (index, part) in text.iter().enumerate() {
            let wrapped = match part {
                Part::Text(text) => wrapped_for_stderr(text, "", ""),
                Part::Item(text) => wrapped_for_stderr(text, "  * ", "    "),
            };
            lines.extend(wrapped.lines().map(str::to_owned));
            // The entries of a list stand together.
            let is_list = |part: Option<&Part>| matches!(part, Some(Part::Item(_)));
            if !(is_list(Some(part)) && is_list(text.get(index + 1))) {
                lines.push(String::new());
            }
        }
        lines
    }

    /// Writes lines so that none leaves the screen unread; `below` lines have to fit behind the last.
    fn show(&mut self, lines: &[String], below: usize) -> Result<Option<Reply>, Failure> {
        let mut rest = lines;
        loop {
            let rows = Term::stderr().size_checked().map_or(24, |(rows, _)| usize::from(rows));
            if rest.len() + below <= rows {
                for line in rest {
                    narrate::line(line);
                }
                return Ok(None);
            }
            // The title stands above the first of them, the question below the last.
            let room = rows.saturating_sub(AROUND + 3).max(3).min(rest.len());
            let (now, later) = rest.split_at(room);
            for line in now {
                narrate::line(line);
            }
            rest = later;
            let options = ["More", "Enough"].map(str::to_owned).to_vec();
            let prompt = match rest.len() {
                0 => "That was all of it".to_owned(),
                1 => "There is 1 line more".to_owned(),
                left => format!("There are {left} lines more"),
            };
            match self.put(&Question::choice(&prompt, options), true)? {
                Reply::Back => return Ok(Some(Reply::Back)),
                Reply::Answer(answer) if answer.index() == 0 && !rest.is_empty() => {}
                Reply::Answer(_) => return Ok(None),
            }
        }
    }

    /// Asks without title and text.
    fn put(&mut self, question: &Question, has_before: bool) -> Result<Reply, Failure> {
        self.go_on()?;
        match self.manner() {
            Manner::Plain => {
                let mut idle = self.patience.map(Idle::begin);
                let interrupted = || self.interrupted.load(Ordering::Relaxed);
                plain::ask(question, &interrupted, idle.as_mut()).map_err(|none| {
                    narrate::line("");
                    match none {
                        NoAnswer::Interrupted => Failure::Interrupted,
                        NoAnswer::Silence => self.nobody(question),
                    }
                })
            }
            Manner::Menus => {
                let watched = Watched::watched(
                    Arc::clone(&self.interrupted),
                    self.patience.map(|patience| (Idle::begin(patience), self.nobody(question))),
                );
                let asked = screen::ask(question, has_before);
                watched.end();
                if let Ok(reply) = &asked {
                    narrate::line(&answered(question, reply));
                }
                asked.map_err(|_| {
                    // dialoguer hides the cursor while it asks, and an error takes it past showing it again.
                    let _ = Term::stderr().show_cursor();
                    narrate::line("");
                    Failure::Interrupted
                })
            }
        }
    }

    fn nobody(&self, question: &Question) -> Failure {
        Failure::NobodyAnswered {
            question: question.prompt.clone(),
            seconds: self.patience.unwrap_or_default().as_secs(),
        }
    }
}

/// A question with its answer, as it stays on the screen.
fn answered(question: &Question, reply: &Reply) -> String {
    let answer = match (reply, &question.kind) {
        (Reply::Answer(Answer::Choice(index)), Kind::Choice { options, .. }) => {
            options.get(*index).map_or("", String::as_str)
        }
        (Reply::Answer(answer), _) => answer.line(),
        (Reply::Back, _) => BACK,
    };
    let label = format!("{} ", style("-").for_stderr().green());
    let answer = style(answer).for_stderr().green();
    let colon = if question.prompt.ends_with('?') { "" } else { ":" };
    wrapped_for_stderr(&format!("{}{colon} {answer}", question.prompt), &label, "    ")
}
