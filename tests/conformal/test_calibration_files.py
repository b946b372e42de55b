"""The files of a calibration: they come back as they were saved, and an error names what was changed in them."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from huebands.conformal.calibration_files import write_calibration
from huebands.conformal.error_map import ErrorCurve
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.conformal.table import CalibrationError
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from tiny_package import seal
from toy_calibration import read_calibration, toy_calibration, toy_losses

TABLES, DESCRIPTION = "calibration.npz", "calibration.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A calibration with a certificate, and its folder, to be read or copied, never changed."""
    calibration, folder = toy_calibration(toy_losses(1, 30)), tmp_path_factory.mktemp("calibration")
    measured = {"coverage": 0.9, "coverage_low": 0.85, "coverage_high": 0.95, "width": 40.5}
    curve = [
        {
            "mode": mode,
            "alpha": alpha,
            "steps": calibration.steps(Guarantee(alpha=alpha, mode=mode)).tolist(),
            **measured,
        }
        for mode in MODES
        for alpha in (0.1, 0.3)
    ]
    calibration = replace(calibration, certificate={"alpha": 0.1, "curve": curve})
    write_calibration(folder, calibration)
    return calibration, folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved[1], tmp_path / "copy")


def describe(folder, **changes):
    """Change calibration.json by key; `__` separates nested keys."""
    description = json.loads((folder / DESCRIPTION).read_text())
    for keys, value in changes.items():
        *inner, last = keys.split("__")
        mapping = description
        for key in inner:
            mapping = mapping[int(key) if key.isdigit() else key]
        mapping[last] = value
    (folder / DESCRIPTION).write_text(json.dumps(description))


class TestRoundTrip:
    def test_a_calibration_comes_back_as_it_was(self, saved):
        calibration, loaded = saved[0], read_calibration(saved[1])
        assert loaded.shape == calibration.shape and loaded.certificate == calibration.certificate
        for name, table in calibration.table.tables().items():
            assert (
                np.array_equal(loaded.table.tables()[name], table) and loaded.table.tables()[name].dtype == table.dtype
            )
        for name in ("weights_sha256", "distribution_sha256", "preprocessing_sha256", "data_sha256"):
            assert getattr(loaded, name) == getattr(calibration, name)
        assert np.array_equal(loaded.group_steps(Guarantee(alpha=0.3)), calibration.group_steps(Guarantee(alpha=0.3)))

    def test_the_same_calibration_gives_the_same_bytes(self, saved, tmp_path):
        write_calibration(tmp_path / "again", saved[0])
        write_calibration(tmp_path / "from-files", read_calibration(saved[1]))
        for name in (TABLES, DESCRIPTION):
            for copy in ("again", "from-files"):
                assert (tmp_path / copy / name).read_bytes() == (saved[1] / name).read_bytes()

    def test_limits_come_back_and_files_of_format_2_get_the_former_constants(self, saved, folder):
        chosen = replace(saved[0], min_chroma=7.5, unlike_p_value=0.1)
        write_calibration(folder, chosen)
        assert (read_calibration(folder).min_chroma, read_calibration(folder).unlike_p_value) == (7.5, 0.1)
        description = json.loads((folder / DESCRIPTION).read_text())
        del description["min_chroma"], description["unlike_p_value"]
        (folder / DESCRIPTION).write_text(json.dumps(description | {"format": 2}))
        assert (read_calibration(folder).min_chroma, read_calibration(folder).unlike_p_value) == (5.0, 0.05)

    def test_files_of_earlier_formats_are_read_by_their_former_names(self, saved, folder):
        description = json.loads((folder / DESCRIPTION).read_text())
        description["shape"]["evenness"] = description["shape"].pop("adaptivity")
        with np.load(folder / TABLES) as archive:
            tables = {{"atypicality": "strangeness"}.get(name, name): archive[name] for name in archive.files}
        np.savez_compressed(folder / TABLES, **tables)
        description["tables_sha256"] = hashlib.sha256((folder / TABLES).read_bytes()).hexdigest()
        (folder / DESCRIPTION).write_text(json.dumps(description | {"format": 3}))
        loaded = read_calibration(folder)
        assert loaded.shape == saved[0].shape
        assert np.array_equal(loaded.table.atypicality, saved[0].table.atypicality)

    def test_the_description_has_counts_alpha_and_hash_for_people(self, saved):
        description = json.loads((saved[1] / DESCRIPTION).read_text())
        assert description["photos"] == 30 and description["smallest_alpha"] == 1 / 31
        assert description["groups"]["L below 20, chroma below 5"] == 30 and description["merged"] == {}
        assert description["tables_sha256"] == hashlib.sha256((saved[1] / TABLES).read_bytes()).hexdigest()


class TestDescription:
    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000], ids=["empty", "cut", "deep"])
    def test_a_description_that_is_not_json_is_refused(self, folder, text):
        (folder / DESCRIPTION).write_text(text)
        with pytest.raises(
            CalibrationError, match=r"calibration\.json: not JSON \(.*\); run the calibrate stage again"
        ):
            read_calibration(folder)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("format", 5, r"format \(=5\) must be one of 2, 3, 4"),
            ("format", 1, r"format \(=1\) must be one of 2, 3, 4"),
            ("min_chroma", "5", r"min_chroma \(='5'\) must be of type float"),
            ("min_chroma", float("nan"), r"min_chroma \(=nan\) must be finite"),
            ("min_chroma", 200, r"min_chroma \(=200\.0\) must be a number in \[0, 200\)"),
            ("unlike_p_value", 1, r"unlike_p_value \(=1\.0\) must be a number in \[0, 1\)"),
            ("unlike_p_value", True, r"unlike_p_value \(=True\) must be of type float"),
            ("extra", 1, r"extra \(=1\) must be left out: known keys are format, "),
            ("photos", 29, r"photos \(=29\) must be 30, as the tables say"),
            ("smallest_alpha", 0.01, r"smallest_alpha \(=0\.01\) must be 0\.03"),
            ("groups", {"smooth": 30}, r"groups \(=\{'smooth': 30\}\) must be .*, as the tables say"),
            ("merged", {"smooth": "rough"}, r"merged \(=\{'smooth': 'rough'\}\) must be \{\}, as the tables say"),
            ("weights_sha256", "short", r"weights_sha256 \(='short'\) must be a sha256"),
            ("distribution_sha256", None, r"distribution_sha256 \(=None\) must be of type str"),
            ("preprocessing_sha256", "A" * 64, "preprocessing_sha256 .* must be a sha256"),
            ("data_sha256", "0" * 65, "data_sha256 .* must be a sha256"),
            ("shape", [], r"shape \(=\[\]\) must be a mapping"),
            ("shape__more", 1, r"shape\.more \(=1\) must be left out"),
            ("shape__merged_into", 5, r"shape\.merged_into \(=5\) must be a list"),
            ("shape__photo_edges", "ab", r"shape\.photo_edges \(='ab'\) must be a list"),
            ("shape__joint_offsets", None, r"shape\.joint_offsets \(=None\) must be a list"),
            ("shape__joint_offsets", [1, 2, 3], r"shape\.joint_offsets \(=\(1, 2, 3\)\) must be 3 integers"),
            ("shape__adaptivity", "0.5", r"shape\.adaptivity \(='0\.5'\) must be of type float"),
            ("shape__photo_edges", [4.0, 3.0], r"shape\.photo_edges \(=\(4\.0, 3\.0\)\) must be 2 rising numbers"),
            ("certificate", [], r"certificate \(=\[\]\) must be a mapping"),
            ("certificate__curve", {}, r"certificate\.curve \(=\{\}\) must be a list"),
            ("certificate__curve", ["joint"], r"certificate\.curve\[0\] \(='joint'\) must be a mapping"),
            ("certificate__curve", [{"mode": "joint"}], r"certificate\.curve\[0\]\.alpha is missing"),
        ],
    )
    def test_a_tampered_value_is_named(self, folder, key, value, message):
        describe(folder, **{key: value})
        with pytest.raises(CalibrationError, match=rf"^{folder / DESCRIPTION}: {message}"):
            read_calibration(folder)

    def test_a_description_that_is_no_object_is_refused(self, folder):
        (folder / DESCRIPTION).write_text("[]")
        with pytest.raises(CalibrationError, match=r"the content \(=\[\]\) must be a mapping"):
            read_calibration(folder)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            (
                "steps",
                [0, 0, 0],
                r"at alpha 0\.3, per_channel: steps \(=\[0, 0, 0\]\) must be \[.*\], as the tables say",
            ),
            ("alpha", 0.001, r"certificate: alpha \(=0\.001\) must be in \[0\.032259, 1\)"),
            ("alpha", "0.1", r"certificate\.curve\[1\]\.alpha \(='0\.1'\) must be of type float"),
            ("mode", "x", r"certificate: mode \(='x'\) must be one of 'per_channel', 'joint'"),
            ("width", "3", r"certificate\.curve\[1\]\.width \(='3'\) must be of type float"),
            ("width", float("nan"), r"certificate\.curve\[1\]\.width \(=nan\) must be finite"),
            ("coverage", 1.5, r"certificate\.curve\[1\]\.coverage \(=1\.5\) must be a number in \[0, 1\]"),
            ("coverage_low", True, r"certificate\.curve\[1\]\.coverage_low \(=True\) must be of type float"),
            ("coverage_high", None, r"certificate\.curve\[1\]\.coverage_high \(=None\) must be of type float"),
        ],
    )
    def test_a_certificate_that_disagrees_with_the_tables_is_refused(self, folder, key, value, message):
        describe(folder, **{f"certificate__curve__1__{key}": value})
        with pytest.raises(CalibrationError, match=message):
            read_calibration(folder)


class TestTables:
    def test_tampered_tables_are_refused(self, folder):
        content = bytearray((folder / TABLES).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / TABLES).write_bytes(content)
        with pytest.raises(
            CalibrationError, match=rf"{TABLES}: sha256 \(=.*\) is not [0-9a-f]{{64}}, which {DESCRIPTION}"
        ):
            read_calibration(folder)

    def rewrite(self, folder, content):
        """Replace the tables by other bytes, with the right hash."""
        (folder / TABLES).write_bytes(content)
        describe(folder, tables_sha256=hashlib.sha256(content).hexdigest())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"losses": lambda table: table[..., ::-1]}, "losses must hold shares"),
            ({"losses": lambda table: np.where(table > 0.5, np.nan, table)}, "losses must hold shares"),
            ({"losses": lambda table: table[..., :-1]}, "losses must be float64"),
            ({"losses": lambda table: np.array(0.0)}, "losses must be float64"),
            ({"losses": lambda table: table[:0]}, "at least one photo"),
            ({"group_sums": lambda table: table.astype(np.float32)}, "group_sums must be float64"),
            ({"group_photos": lambda table: table.astype(str)}, "group_photos must be int64"),
            ({"atypicality": lambda table: table[1:]}, "atypicality must be float64"),
            (
                {"atypicality": None},
                r"arrays \(=\['group_photos', 'group_sums', 'losses'\]\) must be .*; run the calibrate",
            ),
            ({"more": lambda table: np.zeros(3)}, r"arrays \(=.*'more'.*\) must be"),
            ({"atypicality": lambda table: np.array([{}] * 30, dtype=object)}, "not an archive of plain arrays"),
        ],
    )
    def test_impossible_tables_are_refused_even_with_the_right_hash(self, folder, tmp_path, change, message):
        with np.load(folder / TABLES) as archive:
            tables = dict(archive)
        changed = {name: function and function(tables.get(name)) for name, function in change.items()}
        tables = {name: table for name, table in {**tables, **changed}.items() if table is not None}
        np.savez_compressed(tmp_path / "other.npz", **tables)
        self.rewrite(folder, (tmp_path / "other.npz").read_bytes())
        with pytest.raises(CalibrationError, match=rf"^{folder / TABLES}: .*{message}"):
            read_calibration(folder)

    def test_a_file_that_is_no_archive_is_refused_even_with_the_right_hash(self, folder):
        content = bytearray((folder / TABLES).read_bytes())
        content[content.find(b"PK\x01\x02") + 10] = 99  # an unknown compression method
        for damaged in (b"no archive", bytes(content), b""):
            self.rewrite(folder, damaged)
            with pytest.raises(
                CalibrationError, match=r"calibration\.npz: not an archive of plain arrays \(.*\); run the"
            ):
                read_calibration(folder)

    def test_tables_that_would_fill_the_memory_are_refused(self, folder, monkeypatch):
        monkeypatch.setattr("huebands.conformal.calibration_files._LARGEST", 1000)
        with pytest.raises(CalibrationError, match=r"bytes unpacked, more than 1,000"):
            read_calibration(folder)


class TestPackage:
    @pytest.fixture
    def package(self, tiny_package, tmp_path):
        return shutil.copytree(tiny_package, tmp_path / "package")

    @pytest.mark.parametrize("key", ["weights_sha256", "distribution_sha256", "preprocessing_sha256"])
    def test_a_calibration_of_another_model_is_refused(self, package, key):
        sha256 = json.loads((package / DESCRIPTION).read_text())[key]
        describe(package, **{key: "e" * 64})
        seal(package)
        message = (
            rf"calibration\.json: {key} \(='e+'\) must be the package's '{sha256}': the calibration belongs to another"
        )
        with pytest.raises(PackageError, match=message):
            read_package(package)

    def test_reading_a_package_names_the_fault_of_its_calibration(self, package):
        describe(package, photos=1)
        seal(package)
        with pytest.raises(PackageError, match=r"calibration\.json: photos \(=1\) must be"):
            read_package(package)


CURVE = ErrorCurve((0.5, 4.0, 20.25), (1.0, 4.5, 18.0))


class TestErrorCurve:
    def test_it_comes_back_as_it_was(self, saved, tmp_path):
        calibration = replace(saved[0], error_curve=CURVE)
        write_calibration(tmp_path, calibration)
        assert read_calibration(tmp_path).error_curve == CURVE
        assert read_calibration(tmp_path).maps == ("expected-error", "width")

    def test_files_without_one_are_those_of_earlier_versions_and_stay_readable(self, saved):
        assert "error_curve" not in json.loads((saved[1] / DESCRIPTION).read_text())
        assert read_calibration(saved[1]).error_curve is None
        assert read_calibration(saved[1]).maps == ("width",)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"expected": [0.5, 0.5, 20.25]}, r"error_curve\.expected .*must be rising"),
            ({"expected": [0.5, 4.0]}, r"error_curve\.observed .*must be 2 numbers"),
            ({"expected": [], "observed": []}, r"error_curve\.expected .*must be 1 to 32"),
            ({"observed": [1.0, 0.5, 18.0]}, r"error_curve\.observed .*never fall"),
            ({"observed": [-1.0, 0.5, 18.0]}, r"error_curve\.observed .*none negative"),
            ({"observed": [1.0, 2.0, float("inf")]}, r"error_curve\.observed"),
            ({"observed": "high"}, r"error_curve\.observed"),
        ],
    )
    def test_values_that_no_curve_has_are_refused_by_name(self, saved, tmp_path, changes, reason):
        write_calibration(tmp_path, replace(saved[0], error_curve=CURVE))
        describe(tmp_path, **{f"error_curve__{name}": value for name, value in changes.items()})
        with pytest.raises(CalibrationError, match=f"calibration.json: .*{reason}"):
            read_calibration(tmp_path)
