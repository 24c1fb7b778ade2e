"""Whether the processor has all of x86-64-v3, by texts as /proc/cpuinfo has them."""

import os
from pathlib import Path

import pytest

from auth_service.settings import runs_x86_64_v3

COMMON = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush dts acpi mmx fxsr sse sse2 ss ht "
    "tm pbe syscall nx pdpe1gb rdtscp lm constant_tsc arch_perfmon pebs bts rep_good nopl xtopology nonstop_tsc cpuid "
    "aperfmperf pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 "
)
WESTMERE = (
    COMMON + "cx16 xtpr pdcm pcid dca sse4_1 sse4_2 popcnt aes lahf_lm epb pti tpr_shadow vnmi ept vpid dtherm ida"
)
HASWELL = COMMON + (
    "sdbg fma cx16 xtpr pdcm pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave avx f16c rdrand "
    "lahf_lm abm cpuid_fault epb pti tpr_shadow vnmi ept vpid fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid"
)
V2 = ["cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"]
V3 = ["abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"]
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics\n"


def cpuinfo(folder: Path, *processors: str) -> Path:
    """A text with these flags for one processor after the other."""
    file = folder / "cpuinfo"
    parts = (f"processor\t: {number}\nmodel name\t: X\nflags\t\t: {flags}\nvmx flags\t: ept\nbugs\t\t: avx2\n\n"
             for number, flags in enumerate(processors))  # fmt: skip
    file.write_text("".join(parts))
    return file


@pytest.fixture(autouse=True)
def _on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are of this architecture, whatever the tests run on."""
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6.1", "#1", "x86_64")))


def test_a_processor_with_every_flag_of_the_level_runs_it(tmp_path: Path) -> None:
    assert runs_x86_64_v3(cpuinfo(tmp_path, HASWELL, HASWELL))


def test_an_older_processor_does_not(tmp_path: Path) -> None:
    assert not runs_x86_64_v3(cpuinfo(tmp_path, WESTMERE))


@pytest.mark.parametrize("missing", V2 + V3)
def test_one_flag_that_is_missing_is_enough_to_be_refused_an_illegal_instruction(missing: str, tmp_path: Path) -> None:
    assert not runs_x86_64_v3(cpuinfo(tmp_path, HASWELL.replace(f" {missing} ", " ")))


def test_one_processor_of_several_that_does_not_run_it_is_enough(tmp_path: Path) -> None:
    assert not runs_x86_64_v3(cpuinfo(tmp_path, HASWELL, WESTMERE))


def test_without_a_text_or_with_one_that_says_nothing_it_is_not_assumed(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "arm").write_text(ARM)
    assert not any(runs_x86_64_v3(tmp_path / name) for name in ("empty", "arm", "nothing"))


def test_another_architecture_is_not_asked_for_its_flags(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6.1", "#1", "aarch64")))
    assert not runs_x86_64_v3(cpuinfo(tmp_path, HASWELL))
