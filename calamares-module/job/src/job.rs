//! One run of the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use neuron_passthrough::answers::{Answers, Mode};
use neuron_passthrough::plan;
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::Root;
use serde_json::{Map, Value};

use crate::choice::Choice;
use crate::config::{Config, Stage};
use crate::install::{self, Ended, Installation};
use crate::page::{self, Page};
use crate::report::{Kind, Trouble};
use crate::{answers, detect};

/// The target, as the stock module `mount` names it in global storage.
const TARGET: &str = "rootMountPoint";

/// The target into which an earlier stage of this installation wrote. A journal alone does not tell
/// that: `/var` may be a partition that was kept from the system before.
const WRITTEN: &str = "vfioSetupWritten";

/// A job whose configuration was read.
#[derive(Debug, Clone)]
pub struct Job {
    config: Result<Config, Trouble>,
    is_detect: bool,
}

impl Job {
    /// Takes the configuration of the module's instance; what is wrong with it comes out of
    /// [`Job::run`].
    pub fn new(configuration: &Value) -> Self {
        let config =
            Config::parse(configuration).map_err(|error| Kind::Configuration.with(error.to_string()));
        let is_detect = configuration.get("stage").and_then(Value::as_str) == Some("detect");
        Self { config, is_detect }
    }

    /// The keys of global storage that the run wants to know.
    pub fn reads(&self) -> Vec<&str> {
        let choice = self.config.as_ref().ok().and_then(|config| config.choice.as_deref());
        [TARGET, WRITTEN].into_iter().chain(choice).collect()
    }

    /// Does the work and returns what is to be put into global storage.
    ///
    /// `globals` holds what is stored under the keys of [`Job::reads`]; `progress` is told how much
    /// is done, from 0 to 1. A panic comes back as a failure like any other: it must not reach
    /// Python, where its text alone would end the installation.
    ///
    /// The stage `detect` never fails: it runs before the first page, where Calamares would say
    /// "Installation Failed" and go on. What went wrong is in the page's explanation.
    pub fn run(
        &self,
        globals: &Map<String, Value>,
        progress: &dyn Fn(f64),
    ) -> Result<Map<String, Value>, Trouble> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.stage(globals, progress)))
            .unwrap_or_else(|panic| Err(Kind::Fault.with(words(panic.as_ref()))));
        match outcome {
            Err(trouble) if self.is_detect => Ok(stored(&detect::nothing(trouble.to_string()))),
            outcome => outcome,
        }
    }

    fn stage(
        &self,
        globals: &Map<String, Value>,
        progress: &dyn Fn(f64),
    ) -> Result<Map<String, Value>, Trouble> {
        progress(0.0);
        let config = self.config.as_ref().map_err(Clone::clone)?;
        let machine =
            Root::directory(&config.machine_root).map_err(|error| Kind::Fault.with(error.to_string()))?;
        let stage = match config.stage {
            Stage::Detect => {
                if handed(&machine)?.is_some() {
                    return Ok(stored(&detect::nothing("the answers are given: nobody is asked".into())));
                }
                let answers = answered(config, Choice::NotAsked)?;
                let system =
                    Root::directory(Path::new("/")).map_err(|error| Kind::Fault.with(error.to_string()))?;
                return Ok(stored(&detect::look(&machine, &system, &answers)));
            }
            Stage::Files => plan::Stage::Files,
            Stage::Cmdline => plan::Stage::Cmdline,
            Stage::All => plan::Stage::All,
        };
        let source = match handed(&machine)? {
            Some(source) => source,
            None => Source::Given(Box::new(chosen(config, globals)?)),
        };
        if matches!(&source, Source::Given(answers) if answers.passthrough.mode == Mode::Off) {
            return Ok(Map::new());
        }
        let path = target(globals)?;
        let target = Root::directory(path).map_err(|error| Kind::Surroundings.with(error.to_string()))?;
        let is_continued = globals.get(WRITTEN) == globals.get(TARGET);
        let installation = Installation { machine: &machine, target: &target, stage, is_continued };
        let stored = match installation.run(&source, progress)? {
            Ended::Done => {
                // A page asks for the GPU alone. Answers that were handed in are all that is to be said.
                if config.choice.is_some() && matches!(source, Source::Given(_)) {
                    provision::leave_questions(&target);
                }
                Map::from_iter([(WRITTEN.to_owned(), globals[TARGET].clone())])
            }
            Ended::Refused(reasons) => {
                install::refused(reasons, config.on_refused)?;
                Map::new()
            }
        };
        progress(1.0);
        Ok(stored)
    }
}

/// The answers that this system was started with. Where there are any the page is skipped, and what
/// it leaves in global storage then is nobody's choice.
fn handed(machine: &Root) -> Result<Option<Source>, Trouble> {
    provision::handed(machine).map_err(|error| install::trouble(&error))
}

/// The configured answers, with the user's choice.
fn chosen(config: &Config, globals: &Map<String, Value>) -> Result<Answers, Trouble> {
    let key = config.choice.as_deref();
    let choice = Choice::read(key, key.and_then(|key| globals.get(key)))
        .map_err(|error| Kind::Surroundings.with(error.to_string()))?;
    answered(config, choice)
}

fn answered(config: &Config, choice: Choice) -> Result<Answers, Trouble> {
    answers::read(&config.answers, choice).map_err(|error| {
        let hint = error.hint.as_deref().map_or_else(String::new, |hint| format!("; {hint}"));
        Kind::Configuration.with(format!("answers: {error}{hint}"))
    })
}

/// Where the new system is mounted. The running system is never taken for it.
fn target(globals: &Map<String, Value>) -> Result<&Path, Trouble> {
    match globals.get(TARGET).and_then(Value::as_str).map(Path::new) {
        Some(path) if path.is_absolute() && path.parent().is_some() => Ok(path),
        _ => Err(Kind::Surroundings.with(format!(
            "global storage has no usable {TARGET}: the modules partition and mount come before this one"
        ))),
    }
}

fn stored(page: &Page) -> Map<String, Value> {
    let page = serde_json::to_value(page).unwrap_or_default();
    Map::from_iter([(page::KEY.to_owned(), page)])
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it stopped without a word".into())
}
