"""Usage: tools/check_focus.py [FILE]      The FinOps Foundation's focus-validator on FILE, else on a sample.

Makes its venv in build/focus: the validator wants old versions of large packages, so no test depends on it.
Exit code 1 where a rule fails that is not KNOWN, or where a KNOWN one no longer fails.
"""

import subprocess
import sys
import venv
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "focus"
# pandera 0.17, which the validator asks for, imports what multimethod 2 no longer has.
PACKAGES = ("focus-validator==1.0.0", "multimethod<2")
SPECIFICATION = "1.0"  # The newest that focus-validator 1.0.0 has rules for.
# The specification makes these columns conditional, on what this bill does not have: commitment discounts,
# regions, a price list of SKUs. The validator asks for them always.
CONDITIONAL = (
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "ContractedUnitPrice",
    "ListUnitPrice", "RegionId", "RegionName", "SkuId", "SkuPriceId",
)  # fmt: skip
# In the specification: InvoiceIssuerName, ProviderName, PublisherName, ResourceId.
MISNAMED = ("InvoiceIssuer", "Provider", "Publisher", "ResourceID")
KNOWN = {f"{column}_Required" for column in (*CONDITIONAL, *MISNAMED)}


def main() -> int:
    """Run the validator, and print what passed and failed."""
    data = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else sample()
    report = FOLDER / "report.xml"
    report.unlink(missing_ok=True)
    # From site-packages: the validator looks for its list of currencies below the current folder.
    packages = next(made().glob("lib/python*/site-packages"))
    subprocess.run(
        [FOLDER / "venv/bin/focus-validator", "--data-file", data, "--validate-version", SPECIFICATION,
         "--output-type", "unittest", "--output-destination", report],
        check=True, cwd=packages,
    )  # fmt: skip
    cases = {
        str(case.get("name")).split(" :: ")[0]: case.find("failure") is not None
        for case in ElementTree.parse(report).iter("testcase")
    }
    failed = {name for name, bad in cases.items() if bad}
    print(f"{PACKAGES[0]}, FOCUS {SPECIFICATION}: {len(cases)} rules, {len(cases) - len(failed)} passed, "
          f"{len(failed & KNOWN)} failed as known")  # fmt: skip
    for name in sorted(failed - KNOWN):
        print(f"failed: {name}")
    for name in sorted(KNOWN - failed):
        print(f"no longer fails, take it out of KNOWN: {name}")
    return int(failed != KNOWN)


def made() -> Path:
    """The venv with the validator, made once."""
    if not (FOLDER / "venv/bin/focus-validator").exists():
        venv.create(FOLDER / "venv", with_pip=True)
        pip = [str(FOLDER / "venv/bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
    return FOLDER / "venv"


def sample() -> Path:
    """The bill of the unit tests as FOCUS: whole, shared and MIG, teams and causes."""
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    from stellwerk.report.bill.focus import focus_bill
    from tests.unit.test_bill_output import sample as bill

    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "bill.csv"
    path.write_text(focus_bill(bill(), "shop", "Platform"))
    return path


if __name__ == "__main__":
    sys.exit(main())
