def test_x(bi_encoder_folder, reranker_folder, beir_folder):
    from sentence_transformers import SentenceTransformer, CrossEncoder
    from transformers import AutoModelForSequenceClassification
    import json, numpy as np, time
    t=time.time()
    m = SentenceTransformer(str(bi_encoder_folder))
    c=[json.loads(l) for l in open(beir_folder/"corpus.jsonl")]
    q=[json.loads(l) for l in open(beir_folder/"queries.jsonl")]
    C=m.encode([(p["title"]+" "+p["text"]).strip() for p in c], normalize_embeddings=True); Q=m.encode([x["text"] for x in q], normalize_embeddings=True)
    rk=np.argsort(-Q@C.T,axis=1)
    pos={}
    for s in ("train","dev","test"):
        for l in open(beir_folder/f"qrels/{s}.tsv").read().splitlines()[1:]:
            a,b,_=l.split("\t"); pos.setdefault(a,set()).add(b)
    h=[min(list(rk[i]).index(int(p[1:])) for p in pos[x["_id"]]) for i,x in enumerate(q)]
    print("hit@1",np.mean(np.array(h)<1),"hit@10",np.mean(np.array(h)<10), "tok", [len(m.tokenizer(x["text"])["input_ids"]) for x in c][:8])
    AutoModelForSequenceClassification.from_pretrained(bi_encoder_folder, num_labels=1)
    print(CrossEncoder(str(reranker_folder)).predict([("bela mi","dalo")]))
    print(sorted(p.name for p in bi_encoder_folder.rglob("*")), sorted(p.name for p in reranker_folder.rglob("*")), (bi_encoder_folder/"config.json").read_text()[:200])
    print(time.time()-t)
