-- A gallery of schema 1, as text: three people, four templates of four numbers, seven audit lines. Every later version must open
-- it. Written once, from the documented layout and hash (docs/format-gallery.md), not by the library; never change it.
PRAGMA application_id = 0x4d49454e;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE audit (  id INTEGER PRIMARY KEY,  at TEXT NOT NULL,  verb TEXT NOT NULL CHECK (length(verb) BETWEEN 1 AND 32),  person INTEGER NOT NULL DEFAULT 0,  subject TEXT NOT NULL DEFAULT '' CHECK (subject = '' OR length(subject) = 64 AND NOT subject GLOB '*[^0-9a-f]*'),  detail TEXT NOT NULL DEFAULT '' CHECK (length(CAST(detail AS BLOB)) <= 255),  hash TEXT NOT NULL CHECK (length(hash) = 64 AND NOT hash GLOB '*[^0-9a-f]*')) STRICT;
INSERT INTO "audit" VALUES(1,'2026-11-23T20:02:01Z','create',0,'','schema 0 to 1','7d511881f3cacdfe862d5f829df65255556a3d832cdcdc43e9963f72ae13b4fb');
INSERT INTO "audit" VALUES(2,'2026-11-23T20:02:02Z','bind',0,'','encoder 0123456789ab','3da3c5742f1715b157a1d28b5add3a76df3d2a8daeaa751e349bb0b12a5bd009');
INSERT INTO "audit" VALUES(3,'2026-11-23T20:02:03Z','enroll',1,'d2b795ae8fa0dfcd33f2cfd32e2a8dc47f94246c17dbccb9e0ad515f658c65d6','sample 1','2e54092f8013a17eb7e4c8f17ef8cbee92265dc9e379fcbabe2dcc4b9ca60e95');
INSERT INTO "audit" VALUES(4,'2026-11-23T20:02:04Z','enroll',1,'d2b795ae8fa0dfcd33f2cfd32e2a8dc47f94246c17dbccb9e0ad515f658c65d6','sample 2','64b0aa17366e3c458993ca5f798a9f559764a7a399ad40a3719ee593d2c8ecb5');
INSERT INTO "audit" VALUES(5,'2026-11-23T20:02:05Z','enroll',2,'5b99b8c558bd80b82f5d7ebd6f5d268e1c6abcd9879a4d53c746df4e4b383e0a','sample 3','3808f1cec69625e43e26228bb2ab6f59df70eb3da77036a556df7bd9d1e3b9cd');
INSERT INTO "audit" VALUES(6,'2026-11-23T20:02:06Z','enroll',3,'3a50ea1aeafd837b9296e8da75dafa7eab6efadfd3322056ec483c105c160a5d','sample 4','f9046475bcee124889dc845c0f03f3aeb8a3668ce412c2045a051625ead6ab31');
INSERT INTO "audit" VALUES(7,'2026-11-23T20:02:07Z','ignore',2,'5b99b8c558bd80b82f5d7ebd6f5d268e1c6abcd9879a4d53c746df4e4b383e0a','','4e97cf3cf9bff818fce7ee50a27748f1d4809e99328fe97a4dc5337c799fe5ee');
CREATE TABLE model (  id INTEGER PRIMARY KEY,  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64 AND NOT hash GLOB '*[^0-9a-f]*'),  name TEXT NOT NULL,  dim INTEGER NOT NULL CHECK (dim BETWEEN 2 AND 1024),  metric TEXT NOT NULL DEFAULT 'cosine' CHECK (metric = 'cosine'),  created TEXT NOT NULL) STRICT;
INSERT INTO "model" VALUES(1,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','old encoder',4,'cosine','2026-11-23T20:00:00Z');
CREATE TABLE person (  id INTEGER PRIMARY KEY AUTOINCREMENT,  name TEXT NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ignored')),  salt BLOB NOT NULL CHECK (length(salt) = 16),  created TEXT NOT NULL,  consent TEXT NOT NULL DEFAULT '' CHECK (length(CAST(consent AS BLOB)) <= 255),  expires TEXT NOT NULL DEFAULT '' CHECK (length(expires) IN (0, 10, 20)),  notes TEXT NOT NULL DEFAULT '' CHECK (length(CAST(notes AS BLOB)) <= 1023)) STRICT;
INSERT INTO "person" VALUES(1,'Ann Early','active',X'01010101010101010101010101010101','2026-11-23T20:00:00Z','form 1','2099-12-31','first of all');
INSERT INTO "person" VALUES(2,'Zoë','ignored',X'02020202020202020202020202020202','2026-11-23T20:00:01Z','','','');
INSERT INTO "person" VALUES(3,'山田','active',X'03030303030303030303030303030303','2026-11-23T20:00:02Z','','2001-01-01','');
CREATE TABLE sample (  id INTEGER PRIMARY KEY AUTOINCREMENT,  person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,  model INTEGER NOT NULL REFERENCES model (id),  vector BLOB NOT NULL CHECK (length(vector) BETWEEN 8 AND 4096 AND length(vector) % 4 = 0),  quality REAL NOT NULL CHECK (quality BETWEEN 0 AND 1),  source TEXT NOT NULL DEFAULT '' CHECK (source = '' OR length(source) = 64 AND NOT source GLOB '*[^0-9a-f]*'),  created TEXT NOT NULL) STRICT;
INSERT INTO "sample" VALUES(1,1,1,X'0000803F000000000000000000000000',0.75,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','2026-11-23T20:01:00Z');
INSERT INTO "sample" VALUES(2,1,1,X'CDCC4C3F9A99193F0000000000000000',0.75,'','2026-11-23T20:01:00Z');
INSERT INTO "sample" VALUES(3,2,1,X'000000000000803F0000000000000000',0.75,'','2026-11-23T20:01:00Z');
INSERT INTO "sample" VALUES(4,3,1,X'00000000000000009A99193FCDCC4CBF',0.75,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','2026-11-23T20:01:00Z');
CREATE UNIQUE INDEX model_single ON model ((1));
CREATE INDEX sample_person ON sample (person);
CREATE UNIQUE INDEX sample_source ON sample (person, source) WHERE source <> '';
COMMIT;
