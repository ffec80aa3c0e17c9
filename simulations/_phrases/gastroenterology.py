# SPDX-License-Identifier: Apache-2.0
"""Seven illnesses of the gut, the liver and the pancreas."""

from __future__ import annotations

from simulations._phrases.condition import Condition, condition

CONDITIONS: tuple[Condition, ...] = (
    condition(
        names="reflux disease; erosive esophagitis; a hiatus hernia",
        complaints="burning behind the breastbone after meals; sour fluid in the mouth at night; "
        "heartburn and a chronic cough when lying flat; food sticking and chest burning",
        findings="mild tenderness under the ribs; worn enamel and a hoarse voice; a soft upper abdomen",
        studies="grade B esophagitis at endoscopy; a raised acid exposure time; a three centimeter hiatus hernia",
        drugs="omeprazole; famotidine; alginate liquid; pantoprazole",
        plans="raise the head of the bed; avoid late meals; repeat the endoscopy after treatment",
    ),
    condition(
        names="a bleeding duodenal ulcer; peptic ulcer disease; erosive gastritis",
        complaints="black tarry motions and faintness; gnawing upper belly pain relieved by food; "
        "vomiting coffee-ground material; stomach pain after weeks of naproxen",
        findings="epigastric tenderness and pallor; melena on rectal exam; a fast pulse with pale conjunctivae",
        studies="a clean-based ulcer at endoscopy; a positive Helicobacter breath test; a hemoglobin of 7.9",
        drugs="intravenous esomeprazole; clarithromycin; bismuth; sucralfate",
        plans="eradicate Helicobacter; stop anti-inflammatories; clip the vessel if it rebleeds",
    ),
    condition(
        names="ulcerative colitis; Crohn disease; an inflammatory bowel flare",
        complaints="bloody diarrhea ten times a day; cramping belly pain with mucus in the stool; "
        "urgency, looseness and weight loss; night-time diarrhea and mouth ulcers",
        findings="left lower abdominal tenderness; a perianal skin tag; a tender fullness in the right lower belly",
        studies="continuous inflammation to the splenic flexure; a fecal calprotectin of 940; terminal ileal "
        "thickening",
        drugs="mesalamine; infliximab; azathioprine; vedolizumab",
        plans="book a colonoscopy with biopsies; screen for tuberculosis before the biologic; send stool cultures",
    ),
    condition(
        names="decompensated cirrhosis; alcohol-related liver disease; portal hypertension",
        complaints="a swelling belly and yellow eyes; itching, dark urine and easy bruising; "
        "confusion with a tense abdomen; swollen legs and a growing waist",
        findings="shifting dullness and spider nevi; jaundice with a flapping tremor; a firm liver edge and "
        "large spleen",
        studies="a bilirubin of 96; a nodular liver on ultrasound; esophageal varices at endoscopy",
        drugs="lactulose; rifaximin; propranolol; spironolactone",
        plans="drain the ascites; band the varices; refer for liver transplant assessment",
    ),
    condition(
        names="acute pancreatitis; gallstone pancreatitis; chronic pancreatitis",
        complaints="severe upper belly pain through to the back; vomiting and pain after a fatty meal; "
        "pale greasy stools and belly pain after drinking",
        findings="guarding in the upper abdomen; absent bowel sounds; flank bruising and belly distension",
        studies="a lipase of nine times the limit; gallstones with a dilated duct; calcification of the pancreas",
        drugs="pancrelipase; intravenous fluids; hydromorphone",
        plans="remove the gallbladder this admission; feed early by mouth; retrieve the duct stone",
    ),
    condition(
        names="celiac disease; irritable bowel syndrome; lactose intolerance",
        complaints="bloating and loose motions after bread; alternating constipation and diarrhea; "
        "cramps eased by opening the bowels; wind, bloating and tiredness",
        findings="a distended soft abdomen; an itchy blistering rash at the elbows; mild lower abdominal tenderness",
        studies="a raised transglutaminase antibody; flattened villi on duodenal biopsy; a low ferritin with "
        "normal calprotectin",
        drugs="loperamide; peppermint oil; ferrous sulfate; dicyclomine",
        plans="see the dietitian for a gluten-free diet; try a low-FODMAP diet; check bone density",
    ),
    condition(
        names="acute cholecystitis; ascending cholangitis; a bile duct stone",
        complaints="colicky pain under the right ribs; right-sided belly pain, fever and shivering; "
        "itching and clay-colored stools; nausea and pain to the shoulder after fried food",
        findings="a positive Murphy sign; scleral icterus; tenderness under the right costal margin",
        studies="a thickened gallbladder wall; an alkaline phosphatase of 480; a dilated common duct on ultrasound",
        drugs="metronidazole; ursodiol; ondansetron; cefoxitin",
        plans="clear the duct by ERCP; plan keyhole gallbladder removal; keep nil by mouth overnight",
    ),
)
