//! `demo`: the whole trip on a built-in machine and a built-in target, in a temporary folder.
//!
//! Nothing here pretends: each step runs the verb's own code, on roots inside the folder.

mod embedded;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use console::style;
use neuron_passthrough::answers::Answers;
use neuron_passthrough::apply::Deferred;
use neuron_passthrough::plan::{Plan, PlanDocument};
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::{Capture, Entry, Root};
use serde::Serialize;
use tempfile::TempDir;

use crate::args::{Common, DemoOptions, WizardOptions};
use crate::commands::wizard::{self, Builder, Subject};
use crate::commands::{apply, inspect, plan, revert, status};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::interrupt::Stop;
use crate::report::{DemoReport, DemoStep, StatusReport};
use crate::{narrate, render};

use tree::Tree;

/// Stands before the programs that are not run: "... runs `mkinitcpio -P`".
const REAL_SYSTEM: &str = "this is a demo; on a real system `apply`";

const PURPOSE: &str = "A rehearsal of GPU passthrough: one graphics card is handed to a virtual machine, \
                       which then runs games or Windows at full speed, and the other stays with Linux.";

pub(crate) fn run(common: &Common, options: &DemoOptions) -> Result<ExitCode, Failure> {
    let own_roots = common.machine_root == Path::new("/") && common.target_root == Path::new("/");
    if !own_roots || common.answers.is_some() {
        return Err(Failure::DemoRoots);
    }
    let folder = tempfile::Builder::new()
        .prefix("neuron-demo-")
        .tempdir()
        .map_err(|error| Failure::file("make a folder in", &std::env::temp_dir(), error))?;
    if options.wizard {
        return rehearse(common, options, folder);
    }
    let mut trip = Trip::prepare(common, &folder, Stop::watch()?)?;
    let identical = trip.go()?;
    let kept = options.keep.then(|| folder.keep());
    trip.finish(identical, kept)?;
    Ok(if identical { ExitCode::Done } else { ExitCode::Failed })
}

/// The dialogue, on the same machine and target.
fn rehearse(common: &Common, options: &DemoOptions, folder: TempDir) -> Result<ExitCode, Failure> {
    wizard::need_terminal()?;
    let (machine, target) = lay_out(&folder)?;
    let options_of_wizard = WizardOptions { plain: options.plain, idle_timeout: None, no_reload: false };
    let asker = wizard::asker(&options_of_wizard)?;
    narrate::line("A rehearsal on a built-in computer. Yours is neither read nor changed.");
    let builder = Builder::Other(REAL_SYSTEM);
    let subject = Subject { machine: &machine, target: &target, system: &names(), builder };
    let ended = wizard::hold(common, &subject, asker, &Source::Target);
    if options.keep {
        narrate::line(&format!("The folder is kept: {}", folder.keep().display()));
    }
    ended
}

/// Puts the machine and the target into the folder.
fn lay_out(folder: &TempDir) -> Result<(Root, Root), Failure> {
    let (machine, target) = (folder.path().join("machine.json"), folder.path().join("target"));
    fs::write(&machine, embedded::MACHINE).map_err(|error| Failure::file("write", &machine, error))?;
    embedded::write_target(&target).map_err(|error| Failure::file("write below", &target, error))?;
    let capture =
        Capture::parse(embedded::MACHINE).map_err(|problem| Failure::Capture { path: machine, problem })?;
    Ok((Root::capture(capture), Root::directory(&target)?))
}

/// The names of its GPUs.
fn names() -> Root {
    let mut list = Capture::default();
    list.insert("usr/share/hwdata/pci.ids", Entry::Text(embedded::PCI_IDS.to_owned()));
    Root::capture(list)
}

/// The demo on its way.
struct Trip<'a> {
    common: &'a Common,
    machine: Root,
    target: Root,
    stop: Stop,
    before: Tree,
    steps: Vec<DemoStep>,
}

impl<'a> Trip<'a> {
    /// Lays the machine and the target out.
    fn prepare(common: &'a Common, folder: &TempDir, stop: Stop) -> Result<Self, Failure> {
        let (machine, target) = lay_out(folder)?;
        let path = target.path().unwrap_or(folder.path());
        let before = Tree::of(path).map_err(|error| Failure::file("read", path, error))?;
        let trip = Self { common, machine, target, stop, before, steps: Vec::new() };
        trip.say(&format!(
            "{}\n\n  machine  a real one, captured: {}\n  target   a small Arch Linux with GRUB\n  folder   \
             {}\n\nYour own machine is neither read nor changed.\n",
            render::wrapped(PURPOSE, "", ""),
            embedded::MACHINE_NAME,
            folder.path().display()
        ))?;
        Ok(trip)
    }

    /// All steps; whether the target is the same again at the end.
    fn go(&mut self) -> Result<bool, Failure> {
        self.inspect()?;
        let plan = self.plan()?;
        self.apply(&plan)?;
        self.status()?;
        self.revert()?;
        self.compare()
    }

    fn inspect(&mut self) -> Result<(), Failure> {
        self.title(
            "inspect",
            "What is in this machine?",
            "Every GPU gets a role, with the reason: the host is this Linux, the guest a virtual machine. \
             `inspect` only looks.",
        )?;
        let report = inspect::report(&self.machine, &names(), &Answers::default())?;
        self.step("inspect", ExitCode::Done, &report, &render::inspect(&report))
    }

    fn plan(&mut self) -> Result<Plan, Failure> {
        self.title(
            "plan",
            "What would be written?",
            "Everything, as a diff with the reasons, before anything is touched. `plan` writes nothing.",
        )?;
        let planned = plan::make(&self.machine, &self.target, &Source::Target)?;
        let document = PlanDocument::from(&planned);
        self.step("plan", ExitCode::Done, &document, &render::plan(&document))?;
        Ok(planned)
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), Failure> {
        self.title(
            "apply",
            "Write it.",
            "`apply` keeps every byte that it replaces, and puts everything back if one step fails.",
        )?;
        let mut runner = Deferred { who: REAL_SYSTEM.to_owned() };
        let done = provision::apply(
            &self.machine,
            &self.target,
            plan,
            self.stop.options(),
            &mut runner,
            &mut |_| {},
        )?;
        let (report, code) = apply::outcome(done);
        self.step("apply", code, &report, &apply::text(&report))
    }

    fn status(&mut self) -> Result<(), Failure> {
        self.title("status", "Where does it stand?", "`status` says so at any time.")?;
        let report = StatusReport::from(provision::status(&self.machine, &self.target)?);
        self.step("status", status::code(&report), &report, &status::text(&report))
    }

    fn revert(&mut self) -> Result<(), Failure> {
        self.title("revert", "Undo it.", "`revert` brings back what was there before, byte for byte.")?;
        let mut runner = Deferred { who: REAL_SYSTEM.replace("apply", "revert") };
        let reverted =
            provision::revert(&self.machine, &self.target, self.stop.options(), &mut runner, &mut |_| {})?;
        let waits = reverted.waits;
        let (report, code) = revert::outcome(reverted);
        self.step("revert", code, &report, &revert::text(&report, waits))
    }

    /// Compares what is there now with what was there before the first step.
    fn compare(&self) -> Result<bool, Failure> {
        let target = self.target.path().unwrap_or(Path::new("/"));
        let now = Tree::of(target).map_err(|error| Failure::file("read", target, error))?;
        let different = self.before.differences(&now);
        self.heading("6. Is it really undone?")?;
        if different.is_empty() {
            self.verdict(&format!(
                "{} all {} files of the target have the same bytes, modes and owners as before.\n",
                style("Yes:").green().bold(),
                self.before.files()
            ))?;
            self.say("(Only the journal of what was done stays, in /var/lib/neuron-provisioner.)\n")?;
        } else {
            let paths: Vec<String> = different.iter().map(|path| path.display().to_string()).collect();
            self.verdict(&format!("{} these differ: {}\n", style("No:").red().bold(), paths.join(", ")))?;
        }
        Ok(different.is_empty())
    }

    fn finish(self, identical: bool, kept: Option<PathBuf>) -> Result<(), Failure> {
        if self.common.json {
            return render::json(&DemoReport::new(
                embedded::MACHINE_NAME,
                self.steps,
                self.before.files(),
                identical,
                kept.map(|path| path.display().to_string()),
            ));
        }
        if let Some(path) = &kept {
            self.verdict(&format!("\nThe folder is kept. Try it yourself:\n  cd {}\n", path.display()))?;
            self.say("  neuron-provisioner plan --machine-root machine.json --target-root target\n")?;
        }
        self.say("\nNext: `neuron-provisioner inspect` looks at your own machine, and only looks.\n")
    }

    /// Keeps a step's document, or shows its text.
    fn step(
        &mut self,
        verb: &str,
        code: ExitCode,
        document: &impl Serialize,
        text: &str,
    ) -> Result<(), Failure> {
        if self.common.json {
            self.steps.push(DemoStep::new(verb, code as u8, serde_json::to_value(document)?));
            return Ok(());
        }
        self.say(text)
    }

    fn title(&self, verb: &str, question: &str, explanation: &str) -> Result<(), Failure> {
        let number = 1 + ["inspect", "plan", "apply", "status", "revert"]
            .iter()
            .position(|other| *other == verb)
            .unwrap_or_default();
        self.heading(&format!("{number}. {question}"))?;
        let command = format!("$ neuron-provisioner {verb}");
        self.say(&format!("{}\n{}\n\n", render::wrapped(explanation, "", ""), style(command).cyan()))
    }

    fn heading(&self, text: &str) -> Result<(), Failure> {
        let line = "-".repeat(text.len());
        self.say(&format!("\n{}\n{}\n", style(text).bold(), style(line).dim()))
    }

    /// The trip and the words around it; with `--quiet` the verdict alone is told.
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.common.quiet { Ok(()) } else { self.verdict(text) }
    }

    /// What the trip was for; with `--json` it is in the document.
    fn verdict(&self, text: &str) -> Result<(), Failure> {
        if self.common.json { Ok(()) } else { render::print(text) }
    }
}
