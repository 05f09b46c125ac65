"""Downloads from a real server on this machine: resumed, verified, and never a wrong byte."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ecg_r1 import fetch as fetch_module
from ecg_r1.__main__ import main
from ecg_r1.corpus.options import folds
from ecg_r1.ecg import ECGError
from ecg_r1.fetch import SETS, announcement, fetch, public_set

TABLE = (
    "ecg_id,strat_fold,filename_hr\n1,1,records500/00000/00001_hr\n2,9,records500/00000/2_hr\n"
)
FILES = {
    "ptbxl_database.csv": TABLE.encode(),
    "LICENSE.txt": b"CC BY",
    "records500/00000/00001_hr.dat": bytes(range(256)) * 4000,
    "records500/00000/00001_hr.hea": b"header one",
    "records500/00000/2_hr.dat": b"other" * 100,
    "records500/00000/2_hr.hea": b"header two",
    "records100/00000/00001_lr.dat": b"not wanted",
}


class Server(ThreadingHTTPServer):
    """A publisher: files by path, with what goes wrong dialled in."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.asked = []  # path and Range of each request
        self.ranges = True
        self.break_after = {}  # path -> bytes after which the connection breaks, once
        self.statuses = {}  # path -> statuses of its next answers

    def sums(self):
        lines = [f"{hashlib.sha256(FILES[path]).hexdigest()} {path}\n" for path in FILES]
        return "".join(lines).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, server = self.path.lstrip("/"), self.server
        wanted = self.headers.get("Range")
        server.asked.append((path, wanted))
        waiting = server.statuses.get(path)
        data = server.sums() if path == "SHA256SUMS.txt" else server.files.get(path)
        status = waiting.pop(0) if waiting else 200 if data is not None else 404
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = server.break_after.pop(path, None)
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS_S", (0.0, 0.01, 0.01))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def ptbxl(server):
    url = f"http://127.0.0.1:{server.server_port}/"
    return replace(public_set("ptbxl"), url=url, gigabytes=0.001)


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


WANTED = {path: data for path, data in FILES.items() if not path.startswith("records100")}
LONG = "records500/00000/00001_hr.dat"


def test_what_is_wanted_arrives_with_its_checksum(ptbxl, tmp_path):
    assert fetch(ptbxl, tmp_path) == len(WANTED)
    assert content(tmp_path) == WANTED


def test_a_second_run_asks_for_nothing_but_the_list(ptbxl, tmp_path, server):
    fetch(ptbxl, tmp_path)
    server.asked.clear()
    fetch(ptbxl, tmp_path)
    assert [path for path, _ in server.asked] == ["SHA256SUMS.txt"]


def test_a_file_that_was_cut_off_goes_on_where_it_stopped(ptbxl, tmp_path, server):
    server.break_after[LONG] = 300_000
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED
    ranges = [wanted for path, wanted in server.asked if path == LONG]
    assert ranges == [None, "bytes=300000-"]


def test_an_earlier_runs_beginning_is_used(ptbxl, tmp_path, server):
    part = tmp_path / f"{LONG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[LONG][:1000])
    fetch(ptbxl, tmp_path)
    assert (LONG, "bytes=1000-") in server.asked
    assert content(tmp_path) == WANTED


def test_a_server_without_ranges_sends_the_whole_file_once(ptbxl, tmp_path, server):
    server.ranges = False
    part = tmp_path / f"{LONG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[LONG][:1000])
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED
    assert [path for path, _ in server.asked].count(LONG) == 1


@pytest.mark.parametrize("beginning", [b"wrong" * 100, FILES[LONG] + b"too much"])
def test_a_wrong_beginning_is_thrown_away(ptbxl, tmp_path, beginning):
    part = tmp_path / f"{LONG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(beginning)
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED


def test_a_finished_part_is_taken_as_it_is(ptbxl, tmp_path):
    part = tmp_path / f"{LONG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES[LONG])
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED


def test_a_damaged_file_is_fetched_again(ptbxl, tmp_path):
    fetch(ptbxl, tmp_path)
    (tmp_path / LONG).write_bytes(b"damaged")
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED


def test_a_file_that_is_not_what_the_list_says_is_refused(ptbxl, tmp_path, server):
    server.files["LICENSE.txt"] = b"something else"
    with pytest.raises(ECGError, match=r"LICENSE\.txt does not have the checksum"):
        fetch(ptbxl, tmp_path)
    assert not (tmp_path / "LICENSE.txt").exists()


def test_a_busy_server_is_asked_again(ptbxl, tmp_path, server):
    server.statuses = {LONG: [503, 429], "SHA256SUMS.txt": [500]}
    fetch(ptbxl, tmp_path)
    assert content(tmp_path) == WANTED


def test_a_missing_file_is_said_at_once(ptbxl, tmp_path, server):
    del server.files["LICENSE.txt"]
    with pytest.raises(ECGError, match=r"LICENSE\.txt: the server answers 404"):
        fetch(ptbxl, tmp_path)


def test_no_server_is_said_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_module, "WAITS_S", (0.0,))
    gone = replace(public_set("ludb"), url="http://127.0.0.1:9/", gigabytes=0.001)
    with pytest.raises(ECGError, match=r"cannot be fetched: .*run the same command again"):
        fetch(gone, tmp_path)


def test_folds_bring_their_records_and_the_tables(ptbxl, tmp_path):
    fetch(ptbxl, tmp_path, folds=(1, 2))
    assert content(tmp_path) == {p: d for p, d in WANTED.items() if "2_hr" not in p}


def test_names_that_lead_out_of_the_folder_are_refused(ptbxl, tmp_path, server, monkeypatch):
    for path in ("../escape", "/etc/escape", "a/../../escape"):
        monkeypatch.setattr(server, "sums", lambda path=path: f"{'0' * 64} {path}\n".encode())
        with pytest.raises(ECGError, match="lies outside of the folder"):
            fetch(ptbxl, tmp_path)


def test_too_small_a_disk_is_said_before(ptbxl, tmp_path):
    with pytest.raises(ECGError, match=r"needs 1000000\.0 GB"):
        fetch(replace(ptbxl, gigabytes=1e6), tmp_path)


@pytest.mark.parametrize(
    ("chosen", "words"), [((0,), "fold 0"), ((11,), "fold 11"), ((), "none")]
)
def test_folds_that_do_not_exist_are_refused(ptbxl, tmp_path, chosen, words):
    with pytest.raises(ECGError, match=words):
        fetch(ptbxl, tmp_path, folds=chosen)


def test_the_announcement_says_size_licence_and_place(tmp_path):
    for one in SETS:
        said = announcement(one, tmp_path)
        assert f"{one.gigabytes:.2g} GB" in said
        assert "licenses" in said
        assert str(tmp_path) in said
    assert "About 1.4 GB" in announcement(public_set("ptbxl"), tmp_path, (1, 2, 3, 4, 5))


def test_fold_lists():
    assert folds("1-8") == tuple(range(1, 9))


def test_the_command_asks_first(ptbxl, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fetch_module, "SETS", (ptbxl,))
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert main(["fetch", "ptbxl", "-o", str(tmp_path / "a")]) == 0
    said = capsys.readouterr().out
    assert "CC BY 4.0" in said
    assert "Nothing was downloaded." in said
    assert not (tmp_path / "a").exists()
    assert main(["fetch", "ptbxl", "-o", str(tmp_path / "a"), "--yes"]) == 0
    assert content(tmp_path / "a") == WANTED


def test_what_is_under_an_agreement_is_not_fetched(tmp_path, capsys):
    assert main(["fetch", "mimic", "-o", str(tmp_path / "a"), "--yes"]) == 2
    assert "get it from https://physionet.org" in capsys.readouterr().err
    assert main(["fetch", "moon", "--yes"]) == 2
    assert "choose from ptbxl, cinc2021, ludb" in capsys.readouterr().err


def test_the_list_names_sizes_and_licences(capsys):
    assert main(["fetch", "--list"]) == 0
    said = capsys.readouterr().out
    for one in SETS:
        assert f"{one.gigabytes:g} GB, {one.licence}" in said
