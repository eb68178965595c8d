"""The result CSV of a bulk patient create: right, or unread."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.links.publishing import bulk_csv

ID = "01936b20-48f8-7d49-8bc6-50e0c4986011"
HEADER = (
    b"externalid,firstname,lastname,dob,gender,addressline1-1,city-1,state-1,zip-1,phone-1,metriportId,status,reason"
)


def written(cells, patient_id, status, reason):
    """Write a row the way Metriport does."""

    def wrapped(cell):
        return f'"{cell}"' if "," in cell or '"' in cell else cell

    reason = reason.replace('"', '""')
    reason = f'"{reason}"' if "," in reason else reason
    return ",".join([*(wrapped(cell) for cell in cells), patient_id, status, reason]).encode()


def result(names, lines):
    ragged = bulk_csv.is_ragged(names, lines)
    return [bulk_csv.read(names, line, ragged=ragged) for line in lines]


def test_the_documented_example_is_read_row_by_row():
    names = bulk_csv.header(HEADER)

    rows = result(
        names,
        [
            f"MRN-0042,Ann,Lee,1980-02-11,F,1 Main St,Springfield,OR,97477,5551112222,{ID},successful,".encode(),
            b'MRN-0043,Bob,Ray,1971-13-40,M,"2 Elm St, Apt 3",Springfield,OR,97477,,,failed,Missing/invalid dob',
            f"MRN-0044,Cyd,Fox,1990-05-05,F,3 Oak Ave,Springfield,OR,97477,,{ID},failed,Failed to obtain".encode(),
        ],
    )

    assert [(row.patient_id, row.status, row.reason) for row in rows] == [
        (ID, "successful", None),
        (None, "failed", "Missing/invalid dob"),
        (ID, "failed", "Failed to obtain"),
    ]
    assert rows[1].columns["addressline1-1"] == "2 Elm St, Apt 3"
    assert rows[1].columns["phone-1"] == ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [("successful", "successful"), ("succeeded", "successful"), ("waiting", "waiting"), ("processing", "waiting")],
)
def test_a_status_is_read_by_its_documented_and_its_real_name(status, expected):
    row = bulk_csv.read(("externalid",), f"MRN-1,,{status},".encode(), ragged=False)

    assert row.status == expected


def test_two_wrapped_cells_are_read():
    row = bulk_csv.read(
        ("name", "sex", "address"), f'"Lee, Jr",M,"2 Elm St, Apt 3",{ID},successful,'.encode(), ragged=False
    )

    assert row.columns == {"name": "Lee, Jr", "sex": "M", "address": "2 Elm St, Apt 3"}


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"MRN-1,{ID},successful,".encode(), id="short"),
        pytest.param(f"MRN-1,Ann,x,{ID},successful,".encode(), id="long"),
        pytest.param(b"MRN-1,Ann,not-an-id,successful,", id="odd-id"),
        pytest.param(f"MRN-1,Ann,{ID},done,".encode(), id="odd-status"),
        pytest.param(f"MRN-1,Ann,{ID},successful,but".encode(), id="reason-of-a-success"),
        pytest.param(f'MRN-1,A"n,{ID},successful,'.encode(), id="bare-quote"),
        pytest.param(b"MRN-1,\xff," + ID.encode() + b",successful,", id="not-utf-8"),
        pytest.param(b"", id="empty"),
        pytest.param(b"MRN-1," + b"x" * bulk_csv.ROW_BYTES_MAX + b",,waiting,", id="too-long"),
    ],
)
def test_a_row_that_is_not_certain_is_not_read(line):
    assert bulk_csv.read(("externalid", "firstname"), line, ragged=False) is None


def test_a_row_that_could_be_a_short_one_is_not_read_in_a_file_that_has_short_rows():
    names = ("a", "b")

    rows = result(names, [b'"x,1","y,2",,waiting,', b"z,,waiting,"])

    assert rows == [None, None]


@pytest.mark.parametrize(
    "line", [b"", b"<html>", b"a,b,c", b"metriportId,status,reason", b'"a",metriportId,status,reason']
)
def test_a_file_without_metriports_header_is_not_a_result(line):
    with pytest.raises(bulk_csv.NotAResult):
        bulk_csv.header(line)


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ("a,b", ("a", "b")),
        ("a,a", ("a", "a (2)")),
        ("a,a,a (2)", ("a", "a (3)", "a (2)")),
        ("a (2),a,a", ("a (2)", "a", "a (3)")),
        ("a,a,a (2),a (2)", ("a", "a (3)", "a (2)", "a (2) (4)")),
        (",,", ("", " (2)", " (3)")),
    ],
)
def test_columns_of_one_name_are_told_apart(own, names):
    assert bulk_csv.header(f"{own},metriportId,status,reason".encode()) == names


@given(st.lists(st.sampled_from(["a", "a (2)", "a (3)", "a (2) (3)", "b", ""]), min_size=1, max_size=9))
def test_no_header_loses_a_cell(own):
    names = bulk_csv.header(",".join([*own, "metriportId", "status", "reason"]).encode())

    row = bulk_csv.read(names, b",".join([*(b"%d" % n for n in range(len(own))), b"", b"waiting", b""]), ragged=False)

    assert list(row.columns.values()) == [str(number) for number in range(len(own))]


def test_a_line_with_too_many_ways_to_read_its_end_is_not_read():
    ends = ',,failed,"a' * bulk_csv.TRAILERS_MAX

    assert bulk_csv.read(("a",), f'x{ends},,failed,"a,"'.encode(), ragged=False) is None


CELLS = st.text(alphabet='",ab é', max_size=6)
ROWS = st.tuples(
    st.lists(CELLS, min_size=3, max_size=3),
    st.sampled_from(["", ID]),
    st.sampled_from(["successful", "succeeded", "failed", "waiting"]),
    st.text(alphabet='",ab;', max_size=8),
).map(lambda row: (*row[:3], row[3] if row[2] == "failed" else ""))


@settings(max_examples=500)
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_a_full_row_comes_out_right_or_not_at_all(rows):
    lines = [written(*row) for row in rows]

    read = result(("a", "b", "c"), lines)

    for (cells, patient_id, status, reason), row in zip(rows, read, strict=True):
        assert row is None or (list(row.columns.values()), row.patient_id, row.reason) == (
            cells,
            patient_id or None,
            reason or None,
        )
        assert row is None or row.status == ("successful" if status == "succeeded" else status)


@settings(max_examples=500)
@given(st.lists(ROWS, min_size=1, max_size=5), st.integers(1, 2))
def test_among_short_rows_a_row_comes_out_right_or_not_at_all(rows, left):
    short = (["plain", "row"][:left], "", "waiting", "")
    lines = [
        written(*short),
        *(written(cells[: len(cells) - index % 3], *rest) for index, (cells, *rest) in enumerate(rows)),
    ]

    read = result(("a", "b", "c"), lines)

    assert read[0] is None
    for index, ((cells, *_), row) in enumerate(zip(rows, read[1:], strict=True)):
        assert row is None or (index % 3 == 0 and list(row.columns.values()) == cells)


@given(
    st.lists(
        st.tuples(st.lists(st.text(alphabet="ab; é", max_size=6), min_size=3, max_size=3), st.sampled_from(["", ID]))
    )
)
def test_rows_without_commas_and_quotes_are_all_read(rows):
    lines = [written(cells, patient_id, "waiting", "") for cells, patient_id in rows]

    read = result(("a", "b", "c"), lines)

    assert [list(row.columns.values()) for row in read] == [cells for cells, _ in rows]
