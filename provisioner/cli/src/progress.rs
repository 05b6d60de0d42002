//! What is going on, for a person who waits: a line that moves where there is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neuron_passthrough::apply::Progress;

use crate::args::Common;
use crate::narrate;

/// Shows the steps of an apply or a revert.
pub(crate) struct Steps {
    bar: ProgressBar,
    /// Whether every step gets a line that stays, instead of one that moves.
    in_lines: bool,
}

impl Steps {
    pub(crate) fn new(common: &Common) -> Self {
        let bar = ProgressBar::new(0);
        if common.quiet || common.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg} {elapsed}") {
            bar.set_style(style);
        }
        // A rebuild takes minutes on a slow disk; a line that stands still looks like a crash.
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, in_lines: false }
    }

    /// The same in lines, for a terminal that knows nothing else and for a screen reader.
    pub(crate) fn lines(common: &Common) -> Self {
        Self { bar: ProgressBar::hidden(), in_lines: !(common.quiet || common.json) }
    }

    pub(crate) fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Recovering { plan_id } => {
                let text =
                    format!("An earlier run ({plan_id}) was cut off; what it had done is put back first.");
                self.line(&text);
                self.bar.println(text);
            }
            Progress::Step { index, total, title, .. } => {
                self.line(&format!("{} of {total}: {title}", index + 1));
                self.bar.set_length(*total as u64);
                self.bar.set_position(*index as u64 + 1);
                self.bar.set_message((*title).to_owned());
            }
            Progress::PuttingBack => {
                self.line("Putting everything back");
                self.bar.set_message("Putting everything back".to_owned());
            }
        }
    }

    fn line(&self, text: &str) {
        if self.in_lines {
            narrate::line(text);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
