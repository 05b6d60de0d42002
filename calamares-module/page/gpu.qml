// SPDX-License-Identifier: MIT
//
// The page on which the user decides whether a graphics card is handed to a virtual machine.
//
// It runs in the stock module packagechooserq (instance id `gpu`, method legacy) of Calamares 3.2,
// 3.3 and 3.4. Only QtQuick itself is imported: Controls and Layouts are missing on some media, and
// a page that lacks an import shows nothing but "Loading failed".
//
// In:  global storage `vfioSetup`, which the job vfio-setup@detect left there.
// Out: global storage `packagechooser_gpu`, "off" or the PCI address of the card.
import QtQuick 2.15
import io.calamares.core 1.0
import io.calamares.ui 1.0

Rectangle {
    id: page

    // "auto" follows the desktop's palette. A style sheet of the branding cannot be seen from here:
    // where that alone makes the installer dark, write "dark".
    property string scheme: "auto"

    // To add a language: copy the block "en" under the locale's name ("fr", or "pt_BR" for a
    // variant) and translate it. What a block lacks is shown in English.
    // The "reason." texts replace the English explanation, which can be more exact.
    readonly property var texts: ({
        "en": {
            "title": "Graphics card for virtual machines",
            "found": "Found: %1",
            "choice": "A virtual machine can have a graphics card of its own and use it at nearly full speed. This system then works with the other one.",
            "pending": "The part of this computer that keeps a handed-over card in its bounds (the IOMMU) is not switched on yet. The card is only noted down now; whether it can be handed over shows at the first start of the new system.",
            "off.title": "No, keep it for this system",
            "off.title.many": "No, keep them all for this system",
            "off.detail": "Nothing is changed. It can still be set up later.",
            "card.title": "Give %1 to a virtual machine",
            "card.detail": "This system will not use it any more (%1).",
            "refused": "No graphics card can be handed to a virtual machine on this computer.",
            "continue": "The installation goes on without it.",
            "reason.iommu-unknown": "Whether the part that keeps a handed-over card in its bounds (the IOMMU) works cannot be found out; it may be off in the firmware's setup, where it is called VT-d, AMD-Vi or IOMMU."
        },
        "de": {
            "title": "Grafikkarte für virtuelle Maschinen",
            "found": "Gefunden: %1",
            "choice": "Eine virtuelle Maschine kann eine eigene Grafikkarte bekommen und sie fast mit voller Geschwindigkeit nutzen. Dieses System arbeitet dann mit der anderen.",
            "pending": "Der Teil dieses Rechners, der eine abgegebene Karte in ihren Grenzen hält (die IOMMU), ist noch nicht eingeschaltet. Die Karte wird jetzt nur vorgemerkt; ob sie abgegeben werden kann, zeigt sich beim ersten Start des neuen Systems.",
            "off.title": "Nein, für dieses System behalten",
            "off.title.many": "Nein, alle für dieses System behalten",
            "off.detail": "Es wird nichts geändert. Später einrichten lässt es sich immer noch.",
            "card.title": "%1 an eine virtuelle Maschine geben",
            "card.detail": "Dieses System nutzt sie dann nicht mehr (%1).",
            "refused": "Auf diesem Rechner kann keine Grafikkarte an eine virtuelle Maschine gegeben werden.",
            "continue": "Die Installation geht ohne sie weiter.",
            "reason.iommu-unknown": "Ob der Teil, der eine abgegebene Karte in ihren Grenzen hält (die IOMMU), arbeitet, lässt sich nicht feststellen; vielleicht ist er in der Firmware ausgeschaltet, wo er VT-d, AMD-Vi oder IOMMU heißt.",
            "reason.single-gpu": "Es gibt nur eine Grafikkarte, und die braucht dieses System selbst.",
            "reason.iommu-off-in-firmware": "Die IOMMU ist in der Firmware ausgeschaltet. Der Schalter heißt dort VT-d, AMD-Vi oder IOMMU.",
            "reason.no-virtualization": "Der Prozessor kann keine virtuellen Maschinen ausführen, oder es ist in der Firmware ausgeschaltet.",
            "reason.guest-in-vm": "Dieses System läuft selbst in einer virtuellen Maschine.",
            "reason.group-shared": "Die Karte ist von anderen Geräten, die dieses System braucht, nicht getrennt."
        }
    })

    // What the job found; the same shape as when it found nothing.
    property var found: ({ "state": "nothing", "headline": "", "explanation": "", "reason": "", "options": [], "preset": "off" })
    property string language: "en"
    property string chosen: "off"
    // Where the user is after this page was skipped: behind it or before it. Calamares does not
    // tell from which side a page is entered, but a skipped page is always left on the other one.
    property bool behind: false
    property bool shown: false

    readonly property bool choosing: found.state === "choice" || found.state === "pending"

    // ---- texts

    function matchLanguage(name) {
        var candidates = [name, name.split("_")[0]];
        for (var i = 0; i < candidates.length; ++i) {
            if (texts[candidates[i]] !== undefined)
                return candidates[i];
        }
        return "en";
    }

    function say(key, argument) {
        var text = texts[language][key];
        if (text === undefined)
            text = texts["en"][key];
        return argument === undefined ? text : text.replace("%1", argument);
    }

    function explain() {
        if (found.state === "choice")
            return say("choice");
        if (found.state === "pending")
            return say("pending");
        var translated = texts[language]["reason." + found.reason];
        var why = translated !== undefined ? translated : found.explanation;
        return say("refused") + " " + why + " " + say("continue");
    }

    function titleOf(option) {
        if (option.id === "off")
            return say(found.options.length > 2 ? "off.title.many" : "off.title");
        return say("card.title", option.title);
    }

    function detailOf(option) {
        return option.id === "off" ? say("off.detail") : say("card.detail", option.detail || option.id);
    }

    // ---- the answer

    function offers(id) {
        for (var i = 0; i < found.options.length; ++i) {
            if (found.options[i].id === id)
                return true;
        }
        return false;
    }

    function indexOfChosen() {
        for (var i = 0; i < found.options.length; ++i) {
            if (found.options[i].id === chosen)
                return i;
        }
        return 0;
    }

    function choose(id) {
        chosen = id;
        config.packageChoice = id;
    }

    function chooseNeighbour(step) {
        var last = found.options.length - 1;
        choose(found.options[Math.max(0, Math.min(last, indexOfChosen() + step))].id);
        list.show(indexOfChosen());
    }

    // ---- called by Calamares; what is returned ends up in its log

    function onActivate() {
        language = matchLanguage(Qt.locale().name);
        var stored = Global.value("vfioSetup");
        if (stored !== undefined && stored !== null && stored.state !== undefined)
            found = stored;
        if (found.state === "nothing") {
            choose("off");
            behind = !behind;
            if (behind)
                ViewManager.next();
            else
                ViewManager.back();
            return "nothing to ask, skipped " + (behind ? "forwards" : "backwards");
        }
        // Off unless the job says otherwise, and it only does for answers that the medium's makers
        // configured: a card that is handed over is gone for the desktop, and nobody should find
        // that out because they clicked "Next" without reading. A choice already made stays.
        if (!choosing)
            choose("off");
        else
            choose(offers(config.packageChoice) ? config.packageChoice : found.preset);
        shown = true;
        list.forceActiveFocus();
        return found.state + ", chosen: " + chosen;
    }

    function onLeave() {
        shown = false;
    }

    // In Calamares 3.3 and later (Qt 6) the Tab key does not come into the page, so while it is shown
    // the arrow keys choose wherever the focus is.
    // A page is no window of its own there, so the context of a window never matches.
    Shortcut {
        sequence: "Up"
        context: Qt.ApplicationShortcut
        enabled: page.shown && page.choosing
        onActivated: page.chooseNeighbour(-1)
    }
    Shortcut {
        sequence: "Down"
        context: Qt.ApplicationShortcut
        enabled: page.shown && page.choosing
        onActivated: page.chooseNeighbour(1)
    }

    // ---- looks

    SystemPalette { id: system; colorGroup: SystemPalette.Active }

    readonly property bool dark: scheme === "dark"
        || (scheme === "auto" && luminance(system.window) < 0.5)
    // The desktop's own colours where they are what was asked for, else a plain set.
    readonly property bool fits: (luminance(system.window) < 0.5) === dark
    readonly property color paper: fits ? system.window : (dark ? "#2a2e32" : "#eff0f1")
    readonly property color sheet: fits ? system.base : (dark ? "#1b1e20" : "#ffffff")
    readonly property color ink: fits ? system.windowText : (dark ? "#fcfcfc" : "#232629")
    readonly property color accent: fits ? system.highlight : "#3daee9"
    readonly property color faint: Qt.rgba(ink.r, ink.g, ink.b, 0.75)
    readonly property color line: Qt.rgba(ink.r, ink.g, ink.b, 0.3)
    readonly property int unit: Math.max(12, Math.round(probe.implicitHeight * 0.75))

    function luminance(c) { return 0.299 * c.r + 0.587 * c.g + 0.114 * c.b; }

    // Distances follow the size of the font.
    Text { id: probe; visible: false; text: "X" }

    color: paper

    Flickable {
        id: view
        anchors.fill: parent
        anchors.margins: page.unit
        contentHeight: content.height
        clip: true
        boundsBehavior: Flickable.StopAtBounds
        visible: page.found.state !== "nothing"

        Column {
            id: content
            width: Math.min(view.width, page.unit * 56)
            x: Math.round((view.width - width) / 2)
            spacing: page.unit

            Text {
                width: parent.width
                text: page.say("title")
                textFormat: Text.PlainText
                color: page.ink
                font.pointSize: probe.font.pointSize * 1.5
                wrapMode: Text.WordWrap
                Accessible.role: Accessible.Heading
                Accessible.name: text
            }
            Text {
                width: parent.width
                visible: page.found.headline !== ""
                text: page.say("found", page.found.headline)
                textFormat: Text.PlainText
                color: page.ink
                font.bold: true
                wrapMode: Text.WordWrap
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }
            Text {
                width: parent.width
                text: page.explain()
                textFormat: Text.PlainText
                color: page.ink
                wrapMode: Text.WordWrap
                Accessible.role: Accessible.StaticText
                Accessible.name: text
            }

            // One stop for the Tab key; the arrow keys choose inside, as in every group of radio
            // buttons, and Enter goes on. It holds the scene's focus from onActivate() on, so it has
            // it as soon as Tab enters the page. activeFocusOnTab stays off: with it, Tab would go
            // round in circles inside the page and never reach "Next" again.
            Column {
                id: list
                width: parent.width
                spacing: Math.round(page.unit / 2)
                visible: page.choosing

                Keys.onLeftPressed: page.chooseNeighbour(-1)
                Keys.onRightPressed: page.chooseNeighbour(1)
                Keys.onReturnPressed: ViewManager.next()
                Keys.onEnterPressed: ViewManager.next()

                function show(index) {
                    var item = options.itemAt(index);
                    var top = list.y + item.y;
                    if (top < view.contentY)
                        view.contentY = top;
                    else if (top + item.height > view.contentY + view.height)
                        view.contentY = top + item.height - view.height;
                }

                Repeater {
                    id: options
                    model: page.choosing ? page.found.options : []

                    Rectangle {
                        id: card
                        readonly property bool on: modelData.id === page.chosen

                        width: list.width
                        height: words.height + page.unit * 1.5
                        radius: 4
                        color: page.sheet
                        border.width: card.on ? 2 : 1
                        border.color: card.on ? page.accent : (mouse.containsMouse ? page.ink : page.line)

                        Accessible.role: Accessible.RadioButton
                        Accessible.name: title.text
                        Accessible.description: detail.text
                        Accessible.checkable: true
                        Accessible.checked: card.on
                        Accessible.onPressAction: page.choose(modelData.id)

                        Rectangle {
                            anchors.fill: parent
                            anchors.margins: -3
                            radius: 6
                            color: "transparent"
                            visible: card.on && list.activeFocus
                            border.width: 1
                            border.color: page.ink
                        }
                        Rectangle {
                            id: knob
                            x: page.unit
                            width: Math.round(page.unit * 1.25)
                            height: width
                            radius: width / 2
                            anchors.verticalCenter: parent.verticalCenter
                            color: "transparent"
                            border.width: 2
                            border.color: card.on ? page.accent : page.faint

                            Rectangle {
                                anchors.centerIn: parent
                                width: Math.round(parent.width / 2)
                                height: width
                                radius: width / 2
                                visible: card.on
                                color: page.accent
                            }
                        }
                        Column {
                            id: words
                            anchors.left: knob.right
                            anchors.right: parent.right
                            anchors.margins: page.unit
                            anchors.verticalCenter: parent.verticalCenter
                            spacing: Math.round(page.unit / 4)

                            Text {
                                id: title
                                width: parent.width
                                text: page.titleOf(modelData)
                                textFormat: Text.PlainText
                                color: page.ink
                                wrapMode: Text.WordWrap
                            }
                            Text {
                                id: detail
                                width: parent.width
                                text: page.detailOf(modelData)
                                textFormat: Text.PlainText
                                color: page.faint
                                font.pointSize: probe.font.pointSize * 0.9
                                wrapMode: Text.WordWrap
                            }
                        }
                        MouseArea {
                            id: mouse
                            anchors.fill: parent
                            hoverEnabled: true
                            cursorShape: Qt.PointingHandCursor
                            onClicked: {
                                list.forceActiveFocus();
                                page.choose(modelData.id);
                            }
                        }
                    }
                }
            }
        }
    }
}
