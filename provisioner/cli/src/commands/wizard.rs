//! `wizard`: the dialogue, then the plan, consent, and the same apply as ever.

use std::path::Path;
use std::time::Duration;

use console::style;
use neuron_passthrough::answers::{Answers, Mode};
use neuron_passthrough::apply::{Deferred, Runner};
use neuron_passthrough::plan::{ANSWERS, Plan, PlanDocument};
use neuron_passthrough::policy::{Code, Finding, Severity, Verdict};
use neuron_passthrough::provision::{self, ProvisionError, Source};
use neuron_passthrough::root::Root;

use crate::args::{Common, WizardOptions};
use crate::commands::{apply, plan};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::given;
use crate::interrupt::Stop;
use crate::progress::Steps;
use crate::wizard::{
    Asker, Dialogue, Draft, FIRST_QUESTION, Manner, Next, Place, Question, Reply, Seen, candidates, what_next,
};
use crate::{narrate, render, roots};

/// What the dialogue is about.
pub(crate) struct Subject<'a> {
    pub(crate) machine: &'a Root,
    pub(crate) target: &'a Root,
    /// Where names of devices come from.
    pub(crate) system: &'a Root,
    /// Who builds the initramfs and the boot menu.
    pub(crate) builder: Builder,
}

/// Who builds the initramfs and the boot menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builder {
    /// The target's own programs; or nobody yet, with `no_reload`.
    Target { no_reload: bool },
    /// Somebody else, who is named.
    Other(&'static str),
}

impl Subject<'_> {
    fn runner<'a>(&'a self, stop: &'a Stop) -> Box<dyn Runner + 'a> {
        match self.builder {
            Builder::Target { no_reload } => apply::runner(no_reload, self.target, stop),
            Builder::Other(who) => Box::new(Deferred { who: who.to_owned() }),
        }
    }
}

pub(crate) fn run(common: &Common, options: &WizardOptions) -> Result<ExitCode, Failure> {
    let source = roots::source(common, &roots::target(common)?)?;
    run_from(common, options, &source)
}

/// The same with the answers that it begins with.
pub(crate) fn run_from(
    common: &Common,
    options: &WizardOptions,
    source: &Source,
) -> Result<ExitCode, Failure> {
    need_terminal()?;
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    if given::is_running_system(&target)? && !nix::unistd::geteuid().is_root() {
        return Err(Failure::NotRoot);
    }
    let system = Root::directory(Path::new("/"))?;
    let asker = asker(options)?;
    let builder = Builder::Target { no_reload: options.no_reload };
    hold(common, &Subject { machine: &machine, target: &target, system: &system, builder }, asker, source)
}

/// Nobody is asked where nobody could answer.
pub(crate) fn need_terminal() -> Result<(), Failure> {
    if roots::has_terminal() {
        return Ok(());
    }
    Err(Failure::NoTerminal {
        question: FIRST_QUESTION,
        hint: "the dialogue needs a terminal; without one, write an answers file and use \
               `neuron-provisioner apply --answers FILE --yes`",
    })
}

/// Somebody who asks in the manner that fits.
pub(crate) fn asker(options: &WizardOptions) -> Result<Asker, Failure> {
    // The person sits here, whatever machine it is about.
    let manner = Manner::fitting(&Root::directory(Path::new("/"))?, options.plain)?;
    Asker::begin(manner, options.idle_timeout.map(|seconds| Duration::from_secs(seconds.into())))
}

/// Holds the dialogue, and does what it ends in.
pub(crate) fn hold(
    common: &Common,
    subject: &Subject<'_>,
    mut asker: Asker,
    source: &Source,
) -> Result<ExitCode, Failure> {
    if provision::is_cut_off(subject.target)? && !put_back(common, subject, &mut asker)? {
        return Ok(left());
    }
    let present = provision::answers(subject.target, source)?;
    let seen = Seen::read(subject.machine, subject.target, subject.system, &present)?;
    if !seen.is_set_up() && candidates(&seen, &Draft::new(present.clone())) == 0 {
        return Err(no_way(&seen, &present));
    }
    let mut dialogue = Dialogue::new(&seen, present);
    loop {
        if !ask_all(&mut dialogue, &mut asker)? {
            return Ok(left());
        }
        let planned = planned(subject, &seen, source, &dialogue.draft().answers)?;
        match consent(&planned, &mut asker)? {
            Consent::Given => return write(common, subject, &asker, &seen, dialogue.draft(), &planned),
            Consent::Back => {
                dialogue.back();
            }
            Consent::Withheld if planned.is_allowed() => return Ok(left()),
            Consent::Withheld => return Err(ProvisionError::Refused(Box::new(planned.decision)).into()),
        }
    }
}

/// Somebody wants nothing of it.
fn left() -> ExitCode {
    narrate::line("\nNothing was written. `neuron-provisioner wizard` asks again.");
    ExitCode::Interrupted
}

/// What stands against every card of a machine on which nothing is set up.
fn no_way(seen: &Seen<'_>, present: &Answers) -> Failure {
    let mut answers = present.clone();
    if answers.passthrough.mode == Mode::Off {
        answers.passthrough.mode = Mode::Auto;
    }
    let decision = seen.judge(&answers).decision;
    narrate::line(&render::wrapped_for_stderr(
        "No graphics card of this computer can go to a virtual machine as it is now, so there is nothing to ask.",
        "",
        "",
    ));
    ProvisionError::Refused(Box::new(decision)).into()
}

/// A run that was cut off is put back before anything is planned; false where that is not wanted.
fn put_back(common: &Common, subject: &Subject<'_>, asker: &mut Asker) -> Result<bool, Failure> {
    let options = ["Yes, put back what it left", "No, leave it"].map(str::to_owned).to_vec();
    let question = Question::choice("Put back what an earlier run left?", options)
        .text("An earlier run was cut off in the middle: what stands here is half of a set-up.");
    let place = Place::before_all();
    match asker.ask(place, &question, None)? {
        Reply::Answer(answer) if answer.index() == 0 => {}
        Reply::Answer(_) | Reply::Back => return Ok(false),
    }
    let stop = Stop::watch()?;
    asker.go_on()?;
    let mut runner = subject.runner(&stop);
    apply::put_back(subject.machine, subject.target, runner.as_mut(), &stop, &steps(common, asker))?;
    Ok(true)
}

/// Asks until there is nothing left to ask; false where somebody leaves.
fn ask_all(dialogue: &mut Dialogue<'_>, asker: &mut Asker) -> Result<bool, Failure> {
    let mut refused: Option<String> = None;
    while let Some((place, question)) = dialogue.question() {
        let reply = asker.ask(place, &question, refused.take().as_deref())?;
        match reply {
            Reply::Back if !dialogue.back() => narrate::line("This is the first question."),
            Reply::Back => {}
            Reply::Answer(answer) => match dialogue.answer(&answer) {
                Next::On => {}
                Next::Again(why) => refused = Some(why),
                Next::Leave => return Ok(false),
            },
        }
    }
    Ok(true)
}

/// The plan that these answers make: the very one that `plan --answers` makes of what is kept.
fn planned(
    subject: &Subject<'_>,
    seen: &Seen<'_>,
    source: &Source,
    answers: &Answers,
) -> Result<Plan, Failure> {
    let own = seen.target.text(ANSWERS);
    let invalid = |problem| ProvisionError::Answers { name: ANSWERS.to_owned(), problem };
    let before = match source {
        Source::Text { text, .. } => Some(text.as_str()),
        Source::Target | Source::Given(_) => own,
    };
    let text = match before {
        Some(text) => answers.amend(text),
        None => answers.render(),
    };
    let text = text.map_err(invalid)?;
    // A file of somebody's own that says it all already stays theirs.
    let source = if own == Some(text.as_str()) {
        Source::Target
    } else {
        Source::Text { name: ANSWERS.to_owned(), text }
    };
    plan::make(subject.machine, subject.target, &source)
}

enum Consent {
    Given,
    Withheld,
    Back,
}

/// Shows what would be written, and asks once whether it is to be.
fn consent(planned: &Plan, asker: &mut Asker) -> Result<Consent, Failure> {
    if planned.is_allowed() && planned.steps.is_empty() {
        narrate::line("\nNothing would change: all of it is in place already.");
        return Ok(Consent::Given);
    }
    let mut was_shown = false;
    loop {
        let question = if planned.is_allowed() {
            summary(planned).proposing(usize::from(was_shown))
        } else {
            refusal(planned)
        };
        let choice = match asker.ask(Place::last(!was_shown), &question, None)? {
            Reply::Back => return Ok(Consent::Back),
            Reply::Answer(answer) => answer.index(),
        };
        match choice {
            0 => {
                // Going back from in between leads to the question, not past it.
                let document = PlanDocument::from(planned);
                narrate::line("");
                asker.read(&render::plan(&document))?;
                was_shown = true;
            }
            1 if planned.is_allowed() => return Ok(Consent::Given),
            _ => return Ok(Consent::Withheld),
        }
    }
}

fn summary(planned: &Plan) -> Question {
    let options = ["Show every line that changes", "Write it now", "Leave, and write nothing"];
    let mut question = Question::choice("Write this?", options.map(str::to_owned).to_vec());
    // A trial that was wanted and cannot be is worth knowing, too.
    let matters = |finding: &&Finding| finding.severity == Severity::Warning || finding.code == Code::NoTrial;
    let warnings = planned.decision.findings.iter().filter(matters);
    let warnings: Vec<String> = warnings.map(sentence).collect();
    if !warnings.is_empty() {
        question = question.text("Worth knowing:").items(warnings);
    }
    let count = planned.steps.len();
    let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
    let reboot = if planned.reboot_needed { ", and a restart puts it in force" } else { "" };
    question.text(format!(
        "It takes {steps}{reboot}. The first entry shows each with its reason. If one fails, everything is put back."
    ))
}

fn refusal(planned: &Plan) -> Question {
    let options = ["Show all that was found", "Leave, and write nothing"].map(str::to_owned).to_vec();
    let question = Question::choice("It cannot be done like this. Go back and change something?", options);
    let worst = match planned.decision.verdict {
        Verdict::Refused => Severity::Blocker,
        _ => Severity::Warning,
    };
    let reasons = planned.decision.findings.iter().filter(|finding| finding.severity >= worst);
    question.text("What stands against it:").items(reasons.map(sentence))
}

/// A finding for a person. What begins with a word begins with a capital; a key or a path stays.
fn sentence(finding: &Finding) -> String {
    let text = render::plain(&format!("{}; {}.", finding.message, finding.hint));
    let is_word = text.split(' ').next().is_some_and(|first| first.chars().all(|c| c.is_ascii_lowercase()));
    match text.get(..1) {
        Some(first) if is_word => first.to_ascii_uppercase() + &text[1..],
        _ => text,
    }
}

fn steps(common: &Common, asker: &Asker) -> Steps {
    if asker.is_plain() { Steps::lines(common) } else { Steps::new(common) }
}

fn write(
    common: &Common,
    subject: &Subject<'_>,
    asker: &Asker,
    seen: &Seen<'_>,
    draft: &Draft,
    planned: &Plan,
) -> Result<ExitCode, Failure> {
    let stop = Stop::watch()?;
    // Ctrl-C between the last answer and here was heard by the question's watcher alone.
    asker.go_on()?;
    narrate::line("");
    let mut runner = subject.runner(&stop);
    let steps = steps(common, asker);
    let done = apply::carry_out(subject.machine, subject.target, planned, runner.as_mut(), &stop, steps)
        .map_err(|error| apply::ended(error, &stop))?;
    let (report, code) = apply::outcome(done);
    let shown = if common.json {
        render::json(&report)
    } else if common.quiet {
        narrate::part(&apply::deferred(&report));
        Ok(())
    } else {
        let next = what_next(seen, draft, &planned.decision, report.reboot_needed);
        render::print(&format!("{}{}", apply::deferred(&report), ending(report.changed, &next)))
    };
    Ok(apply::told(shown, code))
}

fn ending(changed: bool, next: &[String]) -> String {
    let mut text = if changed {
        format!("{} The answers are kept in {ANSWERS}.\n", style("Done.").green().bold())
    } else {
        "Nothing changed: it is all in place.\n".to_owned()
    };
    if !next.is_empty() {
        text.push_str("\nWhat you do next:\n");
    }
    for (index, step) in next.iter().enumerate() {
        text.push_str(&render::wrapped(step, &format!("  {}. ", index + 1), "     "));
        text.push('\n');
    }
    text.push_str("\nTo undo all of it: `neuron-provisioner revert`.\n");
    text
}
