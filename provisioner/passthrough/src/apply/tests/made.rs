//! Images that a program makes because of what we wrote: they are ours, and go with us.

use super::fixture::*;
use crate::apply::{Applied, Deferred, Options, Postponed, RunResult, Runner, Transaction, View};

const IMAGE: &str = "boot/EFI/Linux/host.efi";
const BUILD: [&str; 2] = ["dracut", "/boot/EFI/Linux/host.efi"];

/// Builds the image that its last argument names, and notes that it did.
struct Builder<'a> {
    target: &'a Target,
    ran: Vec<String>,
    fails: bool,
}

impl<'a> Builder<'a> {
    fn new(target: &'a Target) -> Self {
        Self { target, ran: Vec::new(), fails: false }
    }
}

impl Runner for Builder<'_> {
    fn run(&mut self, argv: &[String]) -> RunResult {
        self.ran.push(argv.join(" "));
        if argv == BUILD {
            self.target.put(IMAGE, "an image\n");
        }
        if self.fails {
            return RunResult::Failed { why: "the test wants it".to_owned() };
        }
        RunResult::Done
    }
}

/// A file is written, the image of the host's is built, and then another one.
fn with_image(target: &Target) -> Transaction {
    let mut steps = vec![target.write("cmdline", "/etc/kernel/cmdline", "root=a iommu=pt\n")];
    steps.extend([rebuild("host-image", &BUILD), rebuild("image", &["dracut", "--regenerate-all"])]);
    Transaction { copies: vec![BUILD[1].parse().unwrap()], ..transaction(steps) }
}

fn status(target: &Target) -> Applied {
    View::open(&target.root()).unwrap().status().unwrap()
}

fn is_there(target: &Target) -> bool {
    target.at(IMAGE).exists()
}

#[test]
fn it_goes_with_a_revert_and_is_not_built_once_more() {
    let target = Target::new();
    target.put("boot/EFI/other.efi", "somebody's\n");
    let before = target.snapshot();
    let mut builder = Builder::new(&target);
    target.apply_with(&with_image(&target), Options::default(), &mut builder).unwrap();
    assert!(is_there(&target) && status(&target).drifted.is_empty());
    let named = |status: &Applied| status.files.iter().any(|file| file.path.as_str() == BUILD[1]);
    assert!(named(&status(&target)));
    builder.ran.clear();
    target.revert_with(Options::default(), &mut |_| None, &mut builder).unwrap();
    assert_eq!(builder.ran, ["dracut --regenerate-all"]);
    assert_eq!(target.snapshot(), before, "with the folder that was made for it, and without any other file");
    assert!(!named(&status(&target)) && status(&target).rebuilds_open.is_empty());
}

/// The control: what nobody named as ours stays, whoever made it.
#[test]
fn an_image_that_is_not_named_stays() {
    let target = Target::new();
    let unnamed = Transaction { copies: Vec::new(), ..with_image(&target) };
    target.apply_with(&unnamed, Options::default(), &mut Builder::new(&target)).unwrap();
    target.revert_with(Options::default(), &mut |_| None, &mut Builder::new(&target)).unwrap();
    assert!(is_there(&target));
}

#[test]
fn it_is_ours_whoever_builds_it_and_whenever() {
    let installer = || -> Box<dyn Runner> { Box::new(Deferred { who: "the installer".to_owned() }) };
    for (mut runner, is_due) in [(installer(), false), (Box::new(Postponed) as Box<dyn Runner>, true)] {
        let target = Target::new();
        let before = target.snapshot();
        target.apply_with(&with_image(&target), Options::default(), runner.as_mut()).unwrap();
        assert!(!is_there(&target));
        assert_eq!(
            (status(&target).drifted, status(&target).rebuilds_due.len()),
            (vec![], 2 * usize::from(is_due))
        );
        target.put(IMAGE, "built by somebody\n");
        target.revert_with(Options::default(), &mut |_| None, &mut Builder::new(&target)).unwrap();
        assert_eq!(target.snapshot(), before);
        assert!(status(&target).rebuilds_due.is_empty(), "nobody has to make what is gone");
    }
}

#[test]
fn a_build_that_fails_takes_it_away_again_and_an_image_from_before_is_built_anew() {
    let target = Target::new();
    let before = target.snapshot();
    let mut builder = Builder { fails: true, ..Builder::new(&target) };
    target.apply_with(&with_image(&target), Options::default(), &mut builder).unwrap_err();
    assert_eq!(builder.ran, ["dracut /boot/EFI/Linux/host.efi"], "what goes is not built once more");
    assert_eq!(target.snapshot(), before);
    target.apply_with(&with_image(&target), Options::default(), &mut Builder::new(&target)).unwrap();
    let mut again = with_image(&target);
    again.steps[0] = target.write("cmdline", "/etc/kernel/cmdline", "root=a\n");
    builder.ran.clear();
    target.apply_with(&again, Options::default(), &mut builder).unwrap_err();
    assert_eq!(builder.ran.len(), 2, "the program failed, and ran once more over what was put back");
    assert!(is_there(&target));
}

/// An image that could not be built may be half of one: until then the way back stays.
#[test]
fn it_stays_until_the_other_images_are_whole() {
    let target = Target::new();
    let before = target.snapshot();
    target.apply_with(&with_image(&target), Options::default(), &mut Builder::new(&target)).unwrap();
    let mut failing = Builder { fails: true, ..Builder::new(&target) };
    target.revert_with(Options::default(), &mut |_| None, &mut failing).unwrap_err();
    assert!(is_there(&target));
    target.revert_with(Options::default(), &mut |_| None, &mut Builder::new(&target)).unwrap();
    assert_eq!(target.snapshot(), before);
}

#[test]
fn one_that_is_wanted_no_more_goes() {
    let target = Target::new();
    target.apply_with(&with_image(&target), Options::default(), &mut Builder::new(&target)).unwrap();
    let write = target.write("cmdline", "/etc/kernel/cmdline", "root=b\n");
    target.apply_with(&transaction(vec![write]), Options::default(), &mut Builder::new(&target)).unwrap();
    assert!(!is_there(&target) && status(&target).rebuilds_open.is_empty());
}
