//! What is going on, for a person who waits: a line that moves where there is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neuron_passthrough::apply::Progress;

use crate::args::Common;

/// Shows the steps of an apply or a revert.
pub(crate) struct Steps {
    bar: ProgressBar,
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
        Self { bar }
    }

    pub(crate) fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Recovering { plan_id } => {
                self.bar.println(format!(
                    "An earlier run ({plan_id}) was cut off; what it had done is put back first."
                ));
            }
            Progress::Step { index, total, title, .. } => {
                self.bar.set_length(*total as u64);
                self.bar.set_position(*index as u64 + 1);
                self.bar.set_message((*title).to_owned());
            }
            Progress::PuttingBack => self.bar.set_message("Putting everything back".to_owned()),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
