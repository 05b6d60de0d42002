//! Whether libvirt still has what it had.

use roxmltree::{Document, Node};

use super::descend;

/// Whether a domain still is what it was: comments and white space between elements mean nothing, the
/// order of attributes and of elements of different kinds neither, nor what libvirt itself notes down when
/// the domain is started.
pub fn is_same(was: &str, now: &str) -> bool {
    match (Document::parse(was), Document::parse(now)) {
        (Ok(was), Ok(now)) => same(was.root_element(), now.root_element()),
        _ => false,
    }
}

/// With swtpm 0.10, libvirt 10.10 and later note the profile that a new TPM got, or that profile's name
/// where only its source was said.
fn is_noted(was: Node<'_, '_>, name: &str) -> bool {
    let is_in = |node: Node<'_, '_>, parent: &str| node.parent().is_some_and(|one| one.has_tag_name(parent));
    match name {
        "profile" => was.has_tag_name("backend") && is_in(was, "tpm") && descend(was, &["profile"]).is_none(),
        "name" => was.has_tag_name("profile") && is_in(was, "backend") && !was.has_attribute("name"),
        _ => false,
    }
}

fn same(was: Node<'_, '_>, now: Node<'_, '_>) -> bool {
    let attributes = |node: Node<'_, '_>| {
        let mut all: Vec<(Option<String>, String, String)> = node
            .attributes()
            .filter(|one| one.namespace().is_some() || !is_noted(was, one.name()))
            .map(|one| (one.namespace().map(str::to_owned), one.name().to_owned(), one.value().to_owned()))
            .collect();
        all.sort_unstable();
        all
    };
    let text = |node: Node<'_, '_>| {
        let parts = node.children().filter(Node::is_text).filter_map(|child| child.text());
        parts.map(str::trim).collect::<String>()
    };
    // libvirt lists its controllers in another order once it has read what it wrote: after a start, or when
    // its daemon comes up.
    let in_order = |node: &Node<'_, '_>| {
        let index: Option<u32> = node.attribute("index").and_then(|index| index.parse().ok());
        (node.tag_name().name().to_owned(), node.attribute("type").map(str::to_owned), index)
    };
    let mut before: Vec<_> = was.children().filter(Node::is_element).collect();
    let after = now.children().filter(Node::is_element);
    let mut after: Vec<_> = after.filter(|node| !is_noted(was, node.tag_name().name())).collect();
    before.sort_by_key(in_order);
    after.sort_by_key(in_order);
    was.tag_name() == now.tag_name()
        && attributes(was) == attributes(now)
        && text(was) == text(now)
        && before.len() == after.len()
        && before.into_iter().zip(after).all(|(was, now)| same(was, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        let domain = "<domain type='kvm'><name>a</name><devices><tpm model='tpm-crb'/></devices></domain>";
        let head = format!("<!-- made by libvirt -->\n{}\n", domain.replace("><", ">\n  <"));
        assert!(is_same(domain, &head));
        assert!(is_same("<a x='1' y='2'/>", "<a y=\"2\" x=\"1\"></a>"));
        assert!(is_same("<a><b/><c/></a>", "<a><c/><b/></a>"));
        let ports = "<a><b type='x' index='1'/><b type='y' index='0'/><b type='x' index='0'/></a>";
        assert!(is_same(
            ports,
            "<a><b type='x' index='0'/><b type='x' index='1'/><b type='y' index='0'/></a>"
        ));
        for (one, other) in [
            ("<a x='1'/>", "<a x='2'/>"),
            ("<a/>", "<a x='2'/>"),
            ("<a>1</a>", "<a>2</a>"),
            ("<a><b/></a>", "<a><b/><b/></a>"),
            ("<a><b>1</b><b>2</b></a>", "<a><b>2</b><b>1</b></a>"),
            ("<a><b/><b/><c/></a>", "<a><b/><c/><c/></a>"),
            ("<a/>", "<b/>"),
            ("<a/>", "<a xmlns='urn:x'/>"),
            ("<a", "<a"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_libvirt_notes_at_a_start_is_no_change() {
        let tpm = |inside: &str| {
            format!(
                "<devices><tpm model='tpm-crb'><backend type='emulator' version='2.0'>{inside}</backend></tpm></devices>"
            )
        };
        let profile = tpm("<profile name='default-v1'/>");
        assert!(is_same(&tpm(""), &profile));
        assert!(is_same(&tpm("<profile source='a'/>"), &tpm("<profile source='a' name='custom:a'/>")));
        for (was, now) in [
            (profile.clone(), tpm("")),
            (profile, tpm("<profile name='null'/>")),
            (tpm("<profile source='a'/>"), tpm("<profile source='b' name='custom:b'/>")),
            (tpm(""), tpm("<profile name='default-v1'/><encryption secret='x'/>")),
            (tpm(""), tpm("<encryption secret='x'/>")),
            (
                "<domain><backend/></domain>".to_owned(),
                "<domain><backend><profile/></backend></domain>".to_owned(),
            ),
        ] {
            assert!(!is_same(&was, &now), "{was} {now}");
        }
    }
}
