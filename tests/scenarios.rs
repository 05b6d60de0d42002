//! Scenarios: machine, target and answers in; a plan, a tree and the way back out.
//!
//! `SCENARIOS_UPDATE=1 cargo test -p neuron-tests --test scenarios` writes `plan.txt` and
//! `expected/` anew; look at the difference before you keep it. `SCENARIOS=limine` plays those only whose names begin
//! so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails right there")]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use neuron_passthrough::bootloader::{self, Bootloader, HostEntry, Parameters};
use neuron_passthrough::facts::{Machine, Target};
use neuron_passthrough::initramfs;
use neuron_passthrough::plan::combinations;
use neuron_passthrough::root::Root;
use neuron_tests::program::Output;
use neuron_tests::readers;
use neuron_tests::scenario::{self, Combination, Ground, STATE, Scenario, without_state};
use neuron_tests::tree::{self, Difference, Entry, Kind, Tree};
use serde_json::Value;

/// One scenario on its way, and what was wrong with it.
struct Trial {
    scenario: Scenario,
    ground: Ground,
    before: Tree,
    faults: Vec<String>,
}

impl Trial {
    fn new(name: &str) -> Self {
        let scenario = Scenario::load(name).unwrap();
        let ground = scenario.ground().unwrap();
        let before = ground.tree().unwrap();
        Self { scenario, ground, before, faults: Vec::new() }
    }

    fn play(mut self) -> Vec<String> {
        self.plan();
        if self.scenario.is_carried_out() {
            let after = self.apply();
            if !self.faults.is_empty() {
                return self.faults;
            }
            self.apply_again(&after);
            self.status(&after);
            self.confirm();
            self.build();
            self.revert();
            self.apply_saved(&after);
            self.apply_stale();
            if self.scenario.shows.is_some() {
                self.edited(&after);
            }
        } else {
            self.refuse();
        }
        self.faults
    }

    fn fault(&mut self, what: impl std::fmt::Display) {
        self.faults.push(format!("{}: {what}", self.scenario.name));
    }

    /// Runs the program; a wrong exit code is a fault.
    fn run(&mut self, arguments: &[&str], code: i32) -> Output {
        let output = self.ground.run(arguments).unwrap();
        if output.code != code {
            let words = arguments.join(" ");
            self.fault(format!("`{words}` ended with {} instead of {code}\n{}", output.code, output.stderr));
        }
        if output.stderr.contains("panicked") {
            self.fault(format!("`{}` panicked\n{}", arguments.join(" "), output.stderr));
        }
        output
    }

    fn run_json(&mut self, arguments: &[&str], code: i32) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), code);
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| {
            self.fault(format!("`{}` printed no JSON: {error}\n{}", arguments.join(" "), output.stdout));
            Value::Null
        })
    }

    /// The target must be as in `wanted`.
    fn same(&mut self, when: &str, wanted: &Tree) {
        let now = self.ground.tree().unwrap();
        let differences = tree::diff(wanted, &now);
        if !differences.is_empty() {
            self.fault(format!("{when}: {}", list(&differences)));
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, wanted: &T) {
        if found != wanted {
            self.fault(format!("{what}: {found:?} instead of {wanted:?}"));
        }
    }

    fn plan(&mut self) {
        let before = self.before.clone();
        let shown = self.run(&["plan"], 0).stdout;
        let file = self.scenario.folder().join("plan.txt");
        if is_update() {
            fs::write(&file, &shown).unwrap();
        }
        let wanted = fs::read_to_string(&file).unwrap_or_default();
        if shown != wanted {
            let (shown, wanted) = (shown.lines().map(Some), wanted.lines().map(Some));
            let ends = || std::iter::repeat(None);
            let mut both = shown.chain(ends()).zip(wanted.chain(ends())).zip(1..);
            let differs = both.find(|((shown, wanted), _)| shown != wanted);
            self.fault(format!("the plan is not that of plan.txt; the first line: {differs:?}"));
        }
        let would_change = if self.scenario.is_carried_out() { 7 } else { 0 };
        self.run(&["plan", "--check"], would_change);
        let saved = self.saved();
        self.run(&["plan", "--out", &saved], 0);
        self.same("plan wrote", &before);
    }

    fn saved(&self) -> String {
        self.ground.beside("plan.json").display().to_string()
    }

    /// Applies; the tree is the target's with the expected files.
    fn apply(&mut self) -> Tree {
        let code = self.scenario.exit;
        let result = self.run_json(&["apply", "--yes"], code);
        self.equal("changed by the first apply", &result["changed"], &Value::Bool(true));
        self.equal("a reboot is needed", &result["reboot_needed"], &Value::Bool(code == 4));
        let after = self.ground.tree().unwrap();
        let differences = tree::diff(&self.before, &after);
        if is_update() {
            keep("expected", &self.scenario, &after, &differences);
        }
        // Anybody may ask where it stands; what files held before is nobody else's business.
        let mode = |path: &str| after.get(path).map(|folder| folder.mode);
        if mode(STATE) != Some(0o755) || mode(&format!("{STATE}/saved")) != Some(0o700) {
            self.fault("the state folder is not open to ask, or what it saved is not closed");
        }
        let expected = expected(&self.scenario, &self.before);
        self.same("after apply, against expected/", &with_journal(&expected, &after));
        after
    }

    fn apply_again(&mut self, after: &Tree) {
        let code = self.scenario.exit;
        let result = self.run_json(&["apply", "--yes"], code);
        self.equal("changed by the second apply", &result["changed"], &Value::Bool(false));
        let outcomes: BTreeSet<&str> =
            steps(&result).iter().filter_map(|step| step["outcome"].as_str()).collect();
        self.equal("outcomes of the second apply", &outcomes, &BTreeSet::from(["unchanged"]));
        self.same("after the second apply", after);
        self.run(&["plan", "--check"], 0);
        self.same("after plan --check", after);
    }

    fn status(&mut self, after: &Tree) {
        let pending = self.scenario.exit == 4;
        let candidate = after.contains_key(&format!("{STATE}/candidate.json"));
        let now = self.run_json(&["status"], 0);
        let only_answers = tree::diff(&without_state(&self.before), &without_state(after))
            .iter()
            .all(|difference| ["etc/neuron", "etc/neuron/provisioner.toml"].contains(&difference.path()));
        let done = match () {
            () if self.scenario.trial => "trial",
            () if only_answers && !candidate => "unconfigured",
            () => "active",
        };
        let is_trial = self.scenario.trial;
        let state = |pending: bool| Value::from(if pending && !is_trial { "pending" } else { done });
        self.equal("status before the reboot", &now["state"], &state(pending));
        self.equal("reboot_needed before the reboot", &now["reboot_needed"], &Value::Bool(pending));
        let named: BTreeSet<String> = now["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|path| path.as_str())
            .map(str::to_owned)
            .collect();
        let changed = tree::diff(&self.before, after);
        let record = after.contains_key(TRIAL).then(|| format!("/{TRIAL}"));
        let changed = changed.iter().map(Difference::path).filter(|path| is_ours(after, path));
        let changed: BTreeSet<String> = changed.map(|path| format!("/{path}")).chain(record).collect();
        self.equal("the files that status names", &named, &changed);
        self.ground.boot("22222222-2222-4222-8222-222222222222").unwrap();
        let now = self.run_json(&["status"], 0);
        self.equal("status after the reboot", &now["state"], &state(candidate));
        self.equal("reboot_needed after the reboot", &now["reboot_needed"], &Value::Bool(false));
        // A trial that this boot does not show is started once more.
        self.run(&["apply", "--yes"], if is_trial_by_loader(after) { 4 } else { 0 });
        let now = self.ground.tree().unwrap();
        self.same("after status and an apply that changes nothing", &with_journal(after, &now));
    }

    /// Where a trial is on, it ends with the default that `confirmed/` has, and once is enough.
    fn confirm(&mut self) {
        let before = self.ground.tree().unwrap();
        self.run(&["confirm"], if self.scenario.trial { 3 } else { 0 });
        let now = self.ground.tree().unwrap();
        self.same("after a confirm of what no boot has shown", &with_journal(&before, &now));
        let result = self.run_json(&["confirm", "--unproven"], if self.scenario.trial { 4 } else { 0 });
        self.equal("changed by confirm", &result["changed"], &Value::Bool(self.scenario.trial));
        if !self.scenario.trial {
            self.same("after a confirm of nothing", &now);
            return;
        }
        let confirmed = self.ground.tree().unwrap();
        let differences = tree::diff(&before, &confirmed);
        if is_update() {
            keep("confirmed", &self.scenario, &confirmed, &differences);
        }
        let mut wanted = before.clone();
        for (path, entry) in kept("confirmed", &self.scenario) {
            if let (Kind::File(_), Some(known)) = (&entry.kind, wanted.get_mut(&path)) {
                known.kind = entry.kind;
            }
        }
        self.same("after confirm", &with_journal(&wanted, &confirmed));
        let status = self.run_json(&["status"], 0);
        self.equal("status after confirm", &status["state"], &Value::from("pending"));
        self.run_json(&["confirm"], 4);
        self.run(&["apply", "--yes"], 4);
        self.same("after a second confirm and an apply", &confirmed);
        self.run(&["plan", "--check"], 0);
    }

    /// The programs of a target are stand-ins: whoever runs real ones later has the host's images built.
    fn build(&mut self) {
        let images = readers::images_of_presets(&self.ground.target(), "neuron-host-*").unwrap();
        let plan = fs::read_to_string(self.scenario.folder().join("plan.txt")).unwrap_or_default();
        let by_name =
            plan.lines().filter_map(|line| line.trim().strip_prefix("run dracut ")?.rsplit(' ').next());
        let by_name = by_name.filter(|image| image.contains("neuron-host")).map(str::to_owned);
        for image in images.into_iter().chain(by_name) {
            let file = self.ground.target().join(image.trim_start_matches('/'));
            if file.exists() {
                self.fault(format!("{image} is somebody's"));
            }
            fs::write(file, "built\n").unwrap();
            let status = self.run_json(&["status"], 0);
            if !status["files"].as_array().is_some_and(|files| files.contains(&Value::from(image.as_str()))) {
                self.fault(format!("{image} is not among the files of ours"));
            }
        }
    }

    fn revert(&mut self) {
        let result = self.run_json(&["revert", "--yes"], 4);
        self.equal("changed by revert", &result["changed"], &Value::Bool(true));
        self.equal("left by revert", &result["left"], &Value::Array(Vec::new()));
        let reverted = self.ground.tree().unwrap();
        let differences = tree::diff(&without_state(&self.before), &without_state(&reverted));
        if !differences.is_empty() {
            self.fault(format!("after revert: {}", list(&differences)));
        }
        let state = self.run_json(&["status"], 0);
        self.equal("status after revert", &state["state"], &Value::from("reverted"));
        let result = self.run_json(&["revert", "--yes"], 0);
        self.equal("changed by the second revert", &result["changed"], &Value::Bool(false));
        self.same("after the second revert", &reverted);
    }

    /// The saved plan does the same to a fresh target.
    fn apply_saved(&mut self, after: &Tree) {
        self.ground.replace_target(&self.scenario.target).unwrap();
        let (saved, code) = (self.saved(), self.scenario.exit);
        self.run(&["apply", "--yes", "--plan", &saved], code);
        self.same("after the saved plan", &with_journal(after, &self.ground.tree().unwrap()));
    }

    /// A plan that is not the target's any more, or not the one that was saved, is not applied.
    fn apply_stale(&mut self) {
        let saved = self.saved();
        let document: Value = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
        let writes = steps(&document).iter().filter_map(|step| step["action"]["path"].as_str());
        for path in writes.filter(|path| !path.contains(STATE)) {
            self.ground.replace_target(&self.scenario.target).unwrap();
            let file = self.ground.target().join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = fs::read_to_string(&file).unwrap_or_default();
            fs::write(&file, format!("{text}# somebody was here\n")).unwrap();
            let changed = self.ground.tree().unwrap();
            let output = self.run(&["apply", "--yes", "--plan", &saved], 5);
            if !output.stderr.contains(path) {
                self.fault(format!("the stale plan's error does not name {path}: {}", output.stderr));
            }
            self.same("after a stale plan", &changed);
        }
        let tampered = fs::read_to_string(&saved).unwrap().replacen("\"mode\": 420", "\"mode\": 511", 1);
        if tampered == fs::read_to_string(&saved).unwrap() {
            self.fault("the saved plan has nothing to tamper with");
        }
        fs::write(&saved, tampered).unwrap();
        let untouched = self.ground.tree().unwrap();
        self.run(&["apply", "--yes", "--plan", &saved], 2);
        self.same("after a tampered plan", &untouched);
    }

    /// What somebody adds to every file that was written stays when ours goes, and is said.
    fn edited(&mut self, after: &Tree) {
        const EDIT: &str = "# by hand\n";
        self.ground.replace_target(&self.scenario.target).unwrap();
        let code = self.scenario.exit;
        self.run(&["apply", "--yes"], code);
        let mut wanted = without_state(&self.before);
        let changed = tree::diff(&self.before, after);
        // Copies of images are nobody's text; answers that somebody edits are theirs as they are.
        let is_edited = |path: &&str| {
            is_ours(after, path) && !path.contains("/neuron-host/") && *path != "etc/neuron/provisioner.toml"
        };
        for path in changed.iter().map(Difference::path).filter(is_edited) {
            let file = self.ground.target().join(path);
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text + EDIT).unwrap();
            let mut entry = after[path].clone();
            let before = self.before.get(path).and_then(Entry::text).unwrap_or_default();
            entry.kind = Kind::File((before.to_owned() + EDIT).into_bytes());
            wanted.insert(path.to_owned(), entry);
            // The folder of a file that stays, stays.
            let folder = Path::new(path).parent().and_then(Path::to_str).unwrap_or_default();
            wanted.entry(folder.to_owned()).or_insert_with(|| after[folder].clone());
        }
        self.run(&["revert", "--yes"], 5);
        let differences = tree::diff(&wanted, &without_state(&self.ground.tree().unwrap()));
        if !differences.is_empty() {
            self.fault(format!("after a revert with edits: {}", list(&differences)));
        }
    }

    /// A refusal leaves its reason and nothing else, and can be asked for and taken back.
    fn refuse(&mut self) {
        for arguments in [vec!["apply", "--yes"], vec!["apply", "--yes", "--plan", &self.saved()]] {
            let output = self.run(&arguments, 3);
            if !output.stderr.contains("error:") || !output.stderr.contains("hint:") {
                self.fault(format!("the refusal has no error or no hint: {}", output.stderr));
            }
            let now = self.ground.tree().unwrap();
            let wanted = without_state(&now);
            if wanted != self.before {
                self.fault(format!("a refusal wrote: {}", list(&tree::diff(&self.before, &wanted))));
            }
            let state: Vec<&str> =
                now.keys().filter_map(|path| path.strip_prefix(STATE)?.strip_prefix('/')).collect();
            self.equal("what a refusal keeps", &state, &vec!["refusal.json"]);
        }
        let status = self.run_json(&["status"], 0);
        self.equal("status after a refusal", &status["state"], &Value::from("unconfigured"));
        if status["refusal"]["findings"].as_array().is_none_or(Vec::is_empty) {
            self.fault("status does not tell the refusal");
        }
        // Who reverts does not want any more what was refused: no first boot is to try it.
        self.run(&["revert", "--yes"], 0);
        let now = self.ground.tree().unwrap();
        let differences = tree::diff(&self.before, &without_state(&now));
        self.equal("what a revert of it changes", &list(&differences), &list(&tree::diff(&now, &now)));
        let left: Vec<&String> = now.keys().filter(|path| path.starts_with(&format!("{STATE}/"))).collect();
        self.equal("what a revert of it leaves", &left, &Vec::new());
    }
}

fn is_update() -> bool {
    env::var_os("SCENARIOS_UPDATE").is_some()
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn steps(document: &Value) -> &[Value] {
    document["steps"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Where a trial is recorded.
const TRIAL: &str = "var/lib/neuron-provisioner/trial.json";

/// The journal and what goes with it: named by digests and numbers, judged by its own tests.
fn is_journal(path: &str) -> bool {
    path.starts_with(STATE) && path != format!("{STATE}/candidate.json")
}

/// Whether passthrough is on trial, and the loader starts it once.
fn is_trial_by_loader(tree: &Tree) -> bool {
    let record = tree.get(TRIAL).and_then(Entry::text);
    record.is_some_and(|text| !text.contains("\"once\": null"))
}

/// A regular file that is there afterwards, and not the journal.
fn is_ours(after: &Tree, path: &str) -> bool {
    !is_journal(path) && after.get(path).is_some_and(|entry| matches!(entry.kind, Kind::File(_)))
}

/// `wanted` with the journal that `found` has.
fn with_journal(wanted: &Tree, found: &Tree) -> Tree {
    let mut tree: Tree =
        wanted.iter().filter(|(path, _)| !is_journal(path)).map(|(p, e)| (p.clone(), e.clone())).collect();
    for (path, entry) in found.iter().filter(|(path, _)| is_journal(path)) {
        tree.insert(path.clone(), entry.clone());
    }
    tree
}

/// The target's tree with the files of `expected/`: a changed file keeps its rights and owner, a new
/// one is root's (or ours, where we are not root) and everybody may read it.
fn expected(scenario: &Scenario, before: &Tree) -> Tree {
    let mut tree = before.clone();
    for (path, entry) in kept("expected", scenario) {
        let own = before.get("etc").map_or((0, 0), |etc| etc.owner);
        let mode = match (&entry.kind, path.starts_with(STATE)) {
            (Kind::Directory, true) => 0o700,
            (Kind::Directory, false) => 0o755,
            // grub-mkconfig runs them.
            _ if path.starts_with("etc/grub.d/") => 0o755,
            // An initramfs can hold keys.
            _ if path.contains("/neuron-host/") => 0o600,
            _ => 0o644,
        };
        let (mode, owner) = before.get(&path).map_or((mode, own), |old| (old.mode, old.owner));
        if !(entry.kind == Kind::Directory && before.contains_key(&path)) {
            tree.insert(path, Entry { kind: entry.kind, mode, owner });
        }
    }
    tree
}

/// The files of a folder of a scenario; `expected/` is after the apply, `confirmed/` what a confirm
/// changed since.
fn kept(name: &str, scenario: &Scenario) -> Tree {
    let folder = scenario.folder().join(name);
    if folder.is_dir() { tree::snapshot(&folder).unwrap() } else { Tree::new() }
}

fn keep(name: &str, scenario: &Scenario, after: &Tree, differences: &[Difference]) {
    let folder = scenario.folder().join(name);
    let _ = fs::remove_dir_all(&folder);
    for path in differences.iter().map(Difference::path).filter(|path| is_ours(after, path)) {
        let Kind::File(bytes) = &after[path].kind else { continue };
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(file, bytes).unwrap();
    }
}

#[test]
fn every_scenario_ends_as_it_was_written_down() {
    let names = scenario::names().unwrap();
    assert!(names.len() >= 20, "only {} scenarios were found", names.len());
    // Of all of them those whose names begin so, for whoever works on a few.
    let only = env::var("SCENARIOS").unwrap_or_default();
    let names: Vec<String> = names.into_iter().filter(|name| name.starts_with(&only)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut faults = Vec::new();
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            faults.extend(Trial::new(name).play());
        }
        faults
    };
    let threads = std::thread::available_parallelism().map_or(2, Into::into);
    let faults: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a scenario's target has, as the program sees it: the loaders whose files change, and the
/// generator.
fn seen(scenario: &Scenario) -> (Vec<&'static str>, &'static str) {
    let ground = scenario.ground().unwrap();
    let machine = Machine::read(&Root::directory(&ground.machine()).unwrap()).unwrap();
    let target = Target::read(&Root::directory(&ground.target()).unwrap(), &machine).unwrap();
    let set = scenario.parameters.clone();
    let parameters = Parameters { set, host: Some(HostEntry::default()), ..Parameters::default() };
    let changes = |loader: &&&dyn Bootloader| {
        loader.detect(&target).is_some()
            && loader.steps(&target, &parameters).unwrap().iter().any(|step| !step.is_settled())
    };
    let loaders = bootloader::ALL.iter().filter(changes).map(|loader| loader.way(&target)).collect();
    (loaders, initramfs::active(&target).unwrap().name())
}

#[test]
fn every_loader_has_a_scenario_with_every_generator() {
    let mut shown = BTreeSet::new();
    for name in scenario::names().unwrap() {
        let scenario = Scenario::load(&name).unwrap();
        let Some(Combination { loader, generator }) = scenario.shows.clone() else { continue };
        assert!(scenario.is_carried_out(), "{name} changes nothing");
        let (loaders, active) = seen(&scenario);
        // Beside images in an ESP of systemd-boot, that one is there as well.
        assert!(loaders.contains(&loader.as_str()) && active == generator, "{name}: {loaders:?}, {active}");
        assert!(shown.insert((loader, generator)), "{name} shows what another one shows");
    }
    let owned = |(loader, generator): (&str, &str)| (loader.to_owned(), generator.to_owned());
    let all: BTreeSet<(String, String)> = combinations().map(owned).collect();
    assert_eq!(shown, all, "what the program has, and what the scenarios show");
    let ways = bootloader::ALL.iter().map(|loader| loader.ways().len()).sum::<usize>();
    assert_eq!(all.len(), ways * initramfs::ALL.len());
    assert!(ways > bootloader::ALL.len(), "Limine has two");
}

#[test]
fn a_wrong_expectation_is_found() {
    let mut trial = Trial::new(&scenario::names().unwrap()[0]);
    trial.run(&["no-such-verb"], 0);
    assert_eq!(trial.faults.len(), 1, "{:?}", trial.faults);
    let mut wanted = trial.before.clone();
    let (_, entry) = wanted.iter_mut().find(|(_, entry)| matches!(entry.kind, Kind::File(_))).unwrap();
    entry.mode ^= 0o001;
    trial.same("a wrong mode", &wanted);
    trial.equal("a wrong value", &1, &2);
    assert_eq!(trial.faults.len(), 3, "{:?}", trial.faults);
}
