//! One run of the job.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

use crate::choice::Choice;
use crate::config::{Config, Stage};
use crate::report::{Kind, Trouble};

/// A job whose configuration is valid.
#[derive(Debug, Clone)]
pub struct Job {
    config: Config,
}

impl Job {
    /// Takes the configuration of the module's instance.
    pub fn new(configuration: &Value) -> Result<Self, Trouble> {
        let config =
            Config::parse(configuration).map_err(|error| Kind::Configuration.with(error.to_string()))?;
        Ok(Self { config })
    }

    /// The keys of global storage that the run wants to know.
    pub fn reads(&self) -> Vec<&str> {
        let mut keys = vec!["rootMountPoint"];
        keys.extend(self.config.choice.as_deref());
        keys
    }

    /// Does the work and returns what is to be put into global storage.
    ///
    /// `globals` holds what is stored under the keys of [`Job::reads`]; `progress` is told how much
    /// is done, from 0 to 1. A panic comes back as a failure like any other: it must not reach
    /// Python, where its text alone would end the installation.
    pub fn run(
        &self,
        globals: &Map<String, Value>,
        progress: &dyn Fn(f64),
    ) -> Result<Map<String, Value>, Trouble> {
        catch_unwind(AssertUnwindSafe(|| self.stage(globals, progress)))
            .unwrap_or_else(|panic| Err(Kind::Fault.with(words(panic.as_ref()))))
    }

    fn stage(
        &self,
        globals: &Map<String, Value>,
        progress: &dyn Fn(f64),
    ) -> Result<Map<String, Value>, Trouble> {
        progress(0.0);
        let key = self.config.choice.as_deref();
        let choice = Choice::read(key, key.and_then(|key| globals.get(key)))
            .map_err(|error| Kind::Surroundings.with(error.to_string()))?;
        match (self.config.stage, choice) {
            (stage, choice) => Err(Kind::Fault.with(format!("{stage:?} {choice:?} is not built yet"))),
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it stopped without a word".into())
}
