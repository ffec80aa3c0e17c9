# SPDX-License-Identifier: Apache-2.0
"""Seven illnesses of the lungs and the airways."""

from __future__ import annotations

from simulations._phrases.condition import Condition, condition

CONDITIONS: tuple[Condition, ...] = (
    condition(
        names="chronic obstructive pulmonary disease; emphysema; an exacerbation of chronic bronchitis",
        complaints="breathlessness with green sputum; a smoker's cough and wheeze; "
        "needing the inhaler hourly and more phlegm; puffing after a few steps with morning phlegm",
        findings="prolonged expiration with scattered wheeze; a barrel chest and pursed-lip breathing; quiet "
        "breath sounds",
        studies="an FEV1 of 42 percent predicted; hyperinflated lungs on film; retained carbon dioxide on the "
        "blood gas",
        drugs="tiotropium; a prednisone burst; budesonide with formoterol; doxycycline",
        plans="check inhaler technique; start pulmonary rehabilitation; assess for home oxygen",
    ),
    condition(
        names="poorly controlled asthma; allergic asthma; eosinophilic airway disease",
        complaints="night-time wheeze and chest tightness; a dry cough set off by cold air and cats; "
        "wheezing with pollen and exercise; waking at four with tight breathing",
        findings="diffuse expiratory wheeze; nasal polyps and a musical chest; a peak flow of half the best",
        studies="reversible obstruction on spirometry; a high exhaled nitric oxide; a raised eosinophil count",
        drugs="an albuterol inhaler; montelukast; fluticasone; mepolizumab",
        plans="step up the inhaled steroid; write an asthma action plan; review triggers at home",
    ),
    condition(
        names="community-acquired pneumonia; lobar pneumonia; aspiration pneumonia",
        complaints="fever, rusty sputum and chills; a productive cough with sharp chest pain on breathing in; "
        "shaking chills and breathlessness; cough with yellow phlegm and night sweats",
        findings="bronchial breathing at the right base; dullness and coarse crackles on the left; fast "
        "breathing and fever",
        studies="a right lower lobe consolidation; a white count of 18 with left shift; an air bronchogram on film",
        drugs="ceftriaxone; azithromycin; amoxicillin with clavulanate",
        plans="complete seven days of antibiotic; repeat the chest film in six weeks; wean oxygen as tolerated",
    ),
    condition(
        names="pulmonary embolism; a venous clot in the lung; deep vein thrombosis with embolism",
        complaints="sudden breathlessness after a long flight; sharp pain on breathing in and a swollen calf; "
        "coughing a streak of blood with abrupt breathlessness",
        findings="fast breathing with a clear chest; a tender swollen calf; low oxygen saturation on air",
        studies="a segmental filling defect on CT; a strongly positive D-dimer; a ventilation mismatch on scan",
        drugs="rivaroxaban; enoxaparin; heparin infusion",
        plans="anticoagulate for six months; look for a clotting tendency; repeat perfusion imaging",
    ),
    condition(
        names="idiopathic pulmonary fibrosis; interstitial lung disease; hypersensitivity pneumonitis",
        complaints="a dry hacking cough and slowly worsening breathlessness; "
        "getting winded when dressing, with a tickly cough; breathlessness since keeping birds",
        findings="fine velcro crackles at both bases; clubbed fingers; falling saturation on walking",
        studies="honeycombing at the bases on CT; a transfer factor of 38 percent; a restrictive pattern on spirometry",
        drugs="nintedanib; pirfenidone; mycophenolate",
        plans="refer for lung transplant assessment; discuss at the interstitial meeting; plan a six-minute walk test",
    ),
    condition(
        names="obstructive sleep apnea; sleep-disordered breathing; obesity hypoventilation",
        complaints="loud snoring with witnessed pauses in breathing; daytime sleepiness and morning headache; "
        "choking awake and unrefreshing sleep; dozing at the wheel and snoring",
        findings="a crowded throat and wide neck; a large tongue with a narrow airway; low overnight saturations",
        studies="an apnea index of 42 an hour; repeated desaturation on oximetry; a high bicarbonate",
        drugs="modafinil; nasal mometasone; acetazolamide",
        plans="fit a CPAP mask; adjust the machine pressure; repeat the overnight study",
    ),
    condition(
        names="a pleural effusion; a small pneumothorax; empyema",
        complaints="one-sided chest ache and breathlessness; sudden stabbing pain at the shoulder blade on breathing; "
        "heaviness on one side of the chest with cough",
        findings="stony dullness at the left base; absent breath sounds on one side; reduced chest expansion",
        studies="a moderate effusion on ultrasound; a visible lung edge at the apex; exudate on pleural tap",
        drugs="intrapleural alteplase; piperacillin with tazobactam; oxygen by mask",
        plans="place a chest drain; send fluid for cytology; avoid flying until the lung is up",
    ),
)
