"""An excerpt of the real rows, in files like those of the package, and a database built from it."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.build import build
from cacheaside.demo.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

AIRLINES = """\
carrier,name
B6,JetBlue Airways
DL,Delta Air Lines Inc.
HA,Hawaiian Airlines Inc.
MQ,Envoy Air
UA,United Air Lines Inc.
US,US Airways Inc.
"""
AIRPORTS = """\
faa,name,lat,lon,alt,tz,dst,tzone
BTV,Burlington Intl,44.471861,-73.153278,335,-5,A,America/New_York
EWR,Newark Liberty Intl,40.6925,-74.168667,18,-5,A,America/New_York
HNL,Honolulu Intl,21.318681,-157.922428,13,-10,N,Pacific/Honolulu
IAH,George Bush Intercontinental,29.984433,-95.341442,97,-6,A,America/Chicago
JFK,John F Kennedy Intl,40.639751,-73.778925,13,-5,A,America/New_York
LAS,Mc Carran Intl,36.080056,-115.15225,2141,-8,A,America/Los_Angeles
LGA,La Guardia,40.777245,-73.872608,22,-5,A,America/New_York
SYR,Syracuse Hancock Intl,43.111187,-76.106311,421,-5,A,America/New_York
"""
PLANES = """\
tailnum,year,type,manufacturer,model,engines,seats,speed,engine
N298JB,2009,Fixed wing multi engine,EMBRAER,ERJ 190-100 IGW,2,20,NA,Turbo-jet
N376DA,NA,Fixed wing multi engine,BOEING,737-832,2,189,NA,Turbo-jet
N821JB,2012,Fixed wing multi engine,AIRBUS,A320-232,2,200,NA,Turbo-fan
"""
WEATHER = """\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour
EWR,2013,6,28,7,75.92,69.98,83.32,220,12.658579999999999,NA,0,NA,10,2013-06-28T11:00:00Z
JFK,2013,6,28,6,71.96,69.08,90.66,210,11.5078,NA,0,1001.2,8,2013-06-28T10:00:00Z
JFK,2013,6,28,7,75.02,69.98,84.34,290,18.41248,25.317159999999998,0,1001,10,2013-06-28T11:00:00Z
LGA,2013,6,28,7,75.02,68,78.81,230,9.20624,NA,0,1000.2,10,2013-06-28T11:00:00Z
"""
FLIGHTS_HEAD = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,"
    "carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour"
)
FLIGHTS = {
    "winter": "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z",
    "midnight": "2013,6,28,2,2115,167,212,2349,143,DL,1729,N376DA,JFK,LAS,289,2248,21,15,2013-06-29T01:00:00Z",
    "island": "2013,6,28,611,611,0,948,954,-6,B6,1403,N821JB,JFK,SJU,197,1598,6,11,2013-06-28T10:00:00Z",
    "pacific": "2013,6,28,955,1000,-5,1426,1435,-9,HA,51,N392HA,JFK,HNL,614,4983,10,0,2013-06-28T14:00:00Z",
    "lost": "2013,6,28,1357,1350,7,NA,1502,NA,B6,1338,N298JB,JFK,BTV,NA,173,13,50,2013-06-28T17:00:00Z",
    "cancelled": "2013,6,28,NA,1825,NA,NA,2005,NA,MQ,3134,N508MQ,EWR,ORD,NA,719,18,25,2013-06-28T22:00:00Z",
    "no plane": "2013,6,28,NA,600,NA,NA,727,NA,UA,569,NA,EWR,ORD,NA,719,6,0,2013-06-28T10:00:00Z",
    "first leg": "2013,6,28,903,905,-2,1006,1016,-10,B6,1634,N298JB,JFK,BTV,44,266,9,5,2013-06-28T13:00:00Z",
    "second leg": "2013,6,28,1245,1245,0,1352,1354,-2,B6,316,N298JB,JFK,SYR,44,209,12,45,2013-06-28T16:00:00Z",
}
ID = {name: number for number, name in enumerate(FLIGHTS, 1)}
"""The number that each flight of the excerpt gets."""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A folder with the excerpt."""
    folder = tmp_path / "csv"
    folder.mkdir()
    for name, text in (
        ("airlines", AIRLINES),
        ("airports", AIRPORTS),
        ("planes", PLANES),
        ("weather", WEATHER),
    ):
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "\n".join([FLIGHTS_HEAD, *FLIGHTS.values()]) + "\n")
    return Dataset(folder, "0.0.3")


@pytest.fixture
def built(dataset: Dataset, tmp_path: Path) -> Path:
    """A database of the excerpt, as of the moment when the replay starts."""
    path = tmp_path / "flights.sqlite3"
    build(dataset, path, lambda flights: None)
    return path
