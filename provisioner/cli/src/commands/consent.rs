//! Asking once before something is written.

use console::Term;
use dialoguer::Confirm;
use dialoguer::theme::ColorfulTheme;

use crate::failure::Failure;
use crate::interrupt::Question;
use crate::{narrate, roots};

/// Asks; a no, or Ctrl-C, ends the verb with nothing written. Without a terminal nobody is asked.
pub(crate) fn ask(question: &'static str, hint: &'static str) -> Result<(), Failure> {
    if !roots::has_terminal() {
        return Err(Failure::NoTerminal { question, hint });
    }
    let asked = Question::begin()?;
    let answer =
        Confirm::with_theme(&ColorfulTheme::default()).with_prompt(question).default(false).interact_opt();
    asked.end();
    if answer.is_err() {
        // dialoguer hides the cursor while it asks, and an error takes it past showing it again.
        let _ = Term::stderr().show_cursor();
        narrate::line("");
    }
    match answer {
        Ok(Some(true)) => Ok(()),
        Ok(_) | Err(_) => Err(Failure::Interrupted),
    }
}
