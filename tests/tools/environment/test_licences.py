"""Licences of packages: read from their metadata, judged, and all of this environment known."""

from email.message import Message

import pytest

from tools.environment import licences


@pytest.mark.parametrize(
    ("licence", "verdict"),
    [
        ("MIT", "ok"),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", "ok"),
        ("Apache Software License", "ok"),
        ("Apache-2.0 AND CNRI-Python", "ok"),
        ("MPL-2.0 AND MIT", "note"),
        ("GNU Lesser General Public License v3 (LGPLv3)", "note"),
        ("LicenseRef-NVIDIA-Proprietary", "note"),
        ("GPL-3.0-or-later", "bad"),
        ("GPL-3.0-or-later OR MIT", "ok"),
        ("MIT AND AGPL-3.0-only", "bad"),
        ("SMITH's own", "bad"),
        ("", "bad"),
    ],
)
def test_a_licence_is_judged_by_its_worst_part_and_its_best_choice(licence, verdict):
    assert licences.judge(licence)[0] == verdict


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([("License-Expression", "MIT"), ("License", "other")], "MIT"),
        (
            [("Classifier", "License :: OSI Approved"), ("Classifier", "License :: OSI Approved :: BSD License")],
            "BSD License",
        ),
        ([("License", "MIT\n\nCopyright (c) 2020")], "MIT"),
        ([("Name", "x")], ""),
    ],
)
def test_a_licence_is_read_where_a_package_names_it(lines, said):
    about = Message()
    for name, value in lines:
        about[name] = value
    assert licences.said_in(about) == said


def test_all_packages_here_have_licences_that_fit():
    found = list(licences.licences())
    assert [finding.text for finding in found if finding.verdict == "bad"] == []
    assert any(finding.text.startswith("numpy ") for finding in found)
